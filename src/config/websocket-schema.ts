/** How users write what becomes of WebSockets. Every route carries them; `websocket: false` turns that off. */
import Type, { type StaticDecode } from 'typebox';
import { object } from './shapes.ts';
import { Duration } from './units.ts';

const WebsocketObject = object({
  idle: Duration('Without a byte in either direction, pings included; then it is closed (1001).', '5m'),
  max: Type.Optional(
    Duration('The longest that one may live; then it is closed (1001), and its client comes back. Default: no limit.'),
  ),
});

export const WebsocketSchema = Type.Union([WebsocketObject, Type.Literal(false)], {
  default: {},
  description: 'WebSockets pass where the upstream agrees (101); with false their upgrade is not passed on.',
});

export type WebsocketConfig = StaticDecode<typeof WebsocketSchema>;
