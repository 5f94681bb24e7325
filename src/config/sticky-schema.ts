/** The language of stickiness: what keeps a client at the endpoint that has answered it before. */
import Type, { type StaticDecode } from 'typebox';
import { object } from './shapes.ts';
import { Duration } from './units.ts';

/** Below, a word would be guessed. */
export const SECRET_LENGTH = 16;

export const Secret = (description: string) => Type.String({ minLength: SECRET_LENGTH, title: 'secret', description });

const shared = {
  maxAge: Type.Optional(Duration('Ends so long after its first request, used or not.')),
  returns: Type.Boolean({
    default: false,
    description:
      'Goes back to the endpoint where it began once that is available again; false: stays where it moved to.',
  }),
  whileDraining: Type.Enum(['move', 'keep'], {
    default: 'move',
    description:
      'At an endpoint that drains: goes elsewhere with the next request, or stays until the endpoint is gone.',
  }),
};

const CookieSticky = object(
  {
    cookie: Type.String({
      pattern: "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$",
      maxLength: 64,
      title: 'name of a cookie',
      examples: ['aya-orders'],
      description:
        'A cookie of the gateway’s own, signed and unreadable, that tells the endpoint. No memory is needed.',
    }),
    ttl: Type.Optional(Duration('Ends when it was not used for so long. Renewed each tenth of it.')),
    ...shared,
    lifetime: Type.Enum(['session', 'permanent'], {
      default: 'session',
      description:
        'How long the browser keeps the cookie: until it is closed, or for as long as the cookie is good (Max-Age).',
    }),
    secure: Type.Enum(['auto', 'always', 'never'], {
      default: 'auto',
      description: 'Whether it is for https alone; auto: where the client speaks https.',
    }),
    httpOnly: Type.Boolean({ default: true, description: 'Hidden from scripts.' }),
    sameSite: Type.Enum(['lax', 'strict', 'none'], {
      default: 'lax',
      description: 'Whether it goes along from other sites.',
    }),
    path: Type.String({
      pattern: '^/[^;\\x00-\\x20\\x7f]*$',
      default: '/',
      title: 'path',
      examples: ['/', '/orders'],
      description: 'Below which it is sent.',
    }),
    domain: Type.Optional(
      Type.String({
        pattern: '^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$',
        title: 'domain',
        examples: ['example.com'],
        description: 'Also sent to hosts below it. Default: to the host alone that was asked.',
      }),
    ),
    secrets: Type.Optional(
      Type.Array(Secret('One that only gateways know.'), {
        minItems: 1,
        maxItems: 8,
        description:
          'The first signs, all are believed: put a new one first to change it. Default: the gateway’s `secret`.',
      }),
    ),
  },
  'By a cookie that the gateway sets.',
);

const TableSticky = object(
  {
    on: Type.String({
      pattern: '^(header:[^\\s:]+|cookie:[^\\s;=]+|ip|consumer)$',
      title: 'session key',
      examples: ['cookie:JSESSIONID', 'header:x-session', 'ip'],
      description:
        'What names the session: cookie:NAME and header:NAME of the service’s own, learned from its answers (Set-Cookie, the field) and from requests; ip; consumer.',
    }),
    ttl: Duration('Ends when it was not used for so long.', '30m'),
    ...shared,
  },
  'By what the service or the client names its session with, kept in a table: of all threads, and with `store: redis://…` of all gateways.',
);

export const StickySchema = Type.Union([CookieSticky, TableSticky], {
  description: 'Keeps a client at one endpoint for as long as that is available.',
});

export const GatewaySecret = Type.Union(
  [Secret('As one.'), Type.Array(Secret('As one.'), { minItems: 1, maxItems: 8 })],
  {
    description:
      'What cookies of `sticky` are signed with, the same in all gateways of a fleet. A list: the first signs, all are believed. Default: one that is made up at each start.',
  },
);

export type CookieStickyConfig = StaticDecode<typeof CookieSticky>;
export type TableStickyConfig = StaticDecode<typeof TableSticky>;
export type StickyConfig = CookieStickyConfig | TableStickyConfig;
