/** How users write limits: on a route, for a consumer or a group, and under a name in gateway.yaml. */
import Type, { type StaticDecode } from 'typebox';
import { Name, object, Text } from './shapes.ts';
import { Duration } from './units.ts';

const FIELD_NAME = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";

const By = Type.Union(
  [
    Type.String({
      pattern: `^(?:consumer|ip|route|group|header:${FIELD_NAME}|claim:.+)$`,
      title: 'caller',
      examples: ['consumer', 'ip', 'route', 'group', 'header:x-tenant', 'claim:tenant'],
      description:
        'consumer (of a request without one: its address), ip (IPv6 by /64), route (all together), group (the first one), a header field, or a claim of the token.',
    }),
    object({ cel: Text('An expression that yields a string, such as request.query["tenant"].') }),
  ],
  {
    description:
      'Who is counted together. A request that does not have it is counted by its address. Default: consumer; of the limit of a group, all its members.',
  },
);

const Cost = Type.Union(
  [
    Type.Integer({ minimum: 1, description: 'What a request costs.' }),
    object({
      header: Type.String({
        pattern: `^${FIELD_NAME}$`,
        title: 'field name',
        examples: ['x-cost'],
        description: 'A field of the request that says it. Absent: 1. Not a number, or beyond max: max.',
      }),
      max: Type.Integer({ minimum: 1, default: 100, description: 'The most that one request can cost.' }),
    }),
  ],
  { default: 1, description: 'What a request costs of the limit.' },
);

const Quota = object(
  {
    max: Type.Integer({ minimum: 0, maximum: 1_000_000_000, description: 'Requests (or cost) in each period.' }),
    per: Type.Enum(['day', 'month'], { description: 'The period, of the calendar.' }),
    timeZone: Type.String({ default: 'UTC', description: 'Whose calendar: Europe/Berlin.' }),
  },
  'So much in each day or month.',
);

export const LimitSchema = object(
  {
    name: Type.Optional(
      Name(
        'Names it in fields, problems and logs. Default: default, default-2 …; of a consumer or group: consumer, group.',
      ),
    ),
    max: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 1_000_000_000, description: 'Requests (or cost) in each window.' }),
    ),
    per: Type.Optional(Duration('The window.')),
    algorithm: Type.Enum(['gcra', 'sliding-window'], {
      default: 'gcra',
      description:
        'gcra: a steady rate, with a burst at once. sliding-window: never more than max in any window, wherever it begins.',
    }),
    burst: Type.Optional(
      Type.Integer({ minimum: 1, description: 'Of gcra: how much may come at once. Default: max.' }),
    ),
    by: Type.Optional(By),
    cost: Cost,
    concurrency: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 1_000_000, description: 'Requests in flight at once, of this gateway.' }),
    ),
    quota: Type.Optional(Quota),
    shadow: Type.Boolean({
      default: false,
      description: 'Counts and never refuses; /limits of the admin server recommends a limit from what it saw.',
    }),
    allow: Type.Array(Text('10.0.0.0/8, or the name of a consumer.'), {
      default: [],
      description: 'Networks and consumers that are not counted.',
    }),
    headers: Type.Enum(['draft', 'legacy', 'both', 'none'], {
      default: 'draft',
      description: 'What answers tell: RateLimit and RateLimit-Policy, X-RateLimit-*, both, or nothing.',
    }),
    onStoreFailure: Type.Optional(
      Type.Enum(['allow', 'deny', 'local'], {
        description: 'While a shared store is away: pass, refuse, or count alone. Default: what the store says.',
      }),
    ),
  },
  'A limit: max and per, concurrency, quota, or several of them.',
);

const Use = object({ use: Name('A limit of rateLimits: in gateway.yaml.') });

const Single = [Name('A limit of rateLimits: in gateway.yaml.'), Use, LimitSchema];

/** Of a route, a consumer or a group. */
export const RateLimitSchema = Type.Union([...Single, Type.Array(Type.Union(Single), { minItems: 1 })], {
  description: 'Limits that must all allow a request: a limit, the name of one, or a list.',
});

export const NamedLimitsSchema = Type.Record(Type.String(), LimitSchema, {
  default: {},
  description: 'Limits by name, each with one count for all routes that use it.',
});

export type LimitConfig = StaticDecode<typeof LimitSchema>;
export type LimitReference = string | { use: string } | LimitConfig;
export type RateLimitConfig = LimitReference | LimitReference[];
export type LimitKey = NonNullable<LimitConfig['by']>;
export type LimitCost = LimitConfig['cost'];
