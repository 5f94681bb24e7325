/** How users write what becomes of WebSockets. Every route carries them; `websocket: false` turns that off. */
import Type, { type StaticDecode } from 'typebox';
import { object, oneOrMany } from './shapes.ts';
import { Duration, Size } from './units.ts';

const MessageRate = object(
  {
    max: Type.Integer({ minimum: 1, maximum: 1_000_000_000, description: 'Messages, and pings, in each window.' }),
    per: Duration('The window.'),
    by: Type.Enum(['connection', 'consumer'], {
      default: 'connection',
      description:
        'Each connection by itself; or all connections of a consumer (of a client without one: of its address) on this route together.',
    }),
  },
  'So many messages of clients in a window; one more closes the connection (1008).',
);

const Reconnect = object(
  {
    attempts: Type.Integer({ minimum: 1, maximum: 100, default: 5, description: 'Then the client is closed (1013).' }),
    interval: Duration('Before the first attempt; the later ones wait longer, 1.5 times for each before it.', '200ms'),
  },
  'When the upstream breaks off or goes away (1001, 1012, 1013), the client stays and goes on with another endpoint.',
);

const Inspect = object(
  {
    maxMessage: Size('The largest message of a client; a larger one closes the connection (1009).', '1MiB'),
    maxUpstreamMessage: Size(
      'The largest message of the upstream; a larger one closes the connection (1014).',
      '16MiB',
    ),
    messages: Type.Enum(['any', 'text', 'binary'], {
      default: 'any',
      description: 'What clients may send; other messages close the connection (1003).',
    }),
    rate: Type.Optional(oneOrMany(MessageRate, 'Limits that must all allow a message.')),
    ping: Type.Union([Duration('How often.'), Type.Literal(false)], {
      default: '30s',
      description:
        'Clients and the upstream are pinged this often; one that has not answered by the next time is gone.',
    }),
    reconnect: Type.Optional(Reconnect),
  },
  'Messages are read and sent on one by one, so that they can be limited. Without it bytes pass as they are.',
);

const WebsocketObject = object({
  idle: Duration(
    'Without a byte in either direction, pings included; inspected: without a message or a ping of the two. Then it is closed (1001).',
    '5m',
  ),
  max: Type.Optional(
    Duration('The longest that one may live; then it is closed (1001), and its client comes back. Default: no limit.'),
  ),
  inspect: Type.Optional(Inspect),
});

export const WebsocketSchema = Type.Union([WebsocketObject, Type.Literal(false)], {
  default: {},
  description:
    'WebSockets pass where the upstream agrees (101); with false their upgrade is not passed on, and over HTTP/2 refused (501).',
});

export type WebsocketConfig = StaticDecode<typeof WebsocketSchema>;
export type InspectConfig = StaticDecode<typeof Inspect>;
export type MessageRateConfig = StaticDecode<typeof MessageRate>;
