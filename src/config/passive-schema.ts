/** The language of what real traffic tells about endpoints: which answers are failures, and what ejects. */
import Type, { type StaticDecode } from 'typebox';
import { object, settings } from './shapes.ts';
import { Duration, Percent, StatusRange } from './units.ts';

/** Each status belongs to one of three: failed, ignored, and all others are good. */
export const StatusesSchema = settings(
  {
    fail: Type.Array(StatusRange('A status, or a range of them.'), {
      default: ['500-599'],
      description: 'Statuses that are failures of the endpoint.',
    }),
    ignore: Type.Array(StatusRange('A status, or a range of them.'), {
      default: [501, 505],
      description: 'Statuses that say nothing about it, neither good nor bad, whether or not they are also under fail.',
    }),
  },
  'What an answer says about its endpoint, to ejection, breakers and balancers. All other statuses are good.',
);

const Volume = (requests: number, description: string) => Type.Integer({ minimum: 1, default: requests, description });

export const PassiveHealthSchema = settings(
  {
    mode: Type.Enum(['eject', 'log'], {
      default: 'eject',
      description: 'log: nobody is ejected; the log and the metrics tell who would have been.',
    }),
    consecutiveFailures: Type.Integer({
      minimum: 0,
      default: 5,
      description: 'Failures in a row (connect, reset, timeout, statuses.fail) that eject; 0 turns this off.',
    }),
    consecutiveGatewayFailures: Type.Optional(
      Type.Integer({
        minimum: 1,
        description: 'Failures in a row that eject when all are connect, reset, timeout, 502, 503 or 504.',
      }),
    ),
    window: Duration('How often endpoints are compared by what they did since: the three below.', '10s'),
    failurePercentage: Type.Optional(
      object(
        {
          threshold: Percent('Ejects when at least this share of the answers in a window failed.', '85%'),
          minRequests: Volume(50, 'An endpoint with fewer answers in the window is not judged.'),
        },
        'Ejects endpoints that fail often, though not in a row.',
      ),
    ),
    successRate: Type.Optional(
      object(
        {
          factor: Type.Number({
            exclusiveMinimum: 0,
            default: 1.9,
            description: 'Ejects below the pool’s mean less this many standard deviations.',
          }),
          margin: Percent('And only when it is worse than the mean by this share of all answers.', '5%'),
          minHosts: Type.Integer({
            minimum: 3,
            default: 5,
            description: 'Endpoints with enough answers that it takes.',
          }),
          minRequests: Volume(100, 'Enough answers, in a window.'),
        },
        'Ejects endpoints that fail more than the others of the pool.',
      ),
    ),
    slow: Type.Optional(
      object(
        {
          factor: Type.Number({
            exclusiveMinimum: 1,
            default: 5,
            description: 'Ejects when its median is this many times that of the other endpoints.',
          }),
          margin: Duration('And only when it is longer by this.', '100ms'),
          minRequests: Volume(
            20,
            'An endpoint with fewer good answers in the window is not judged, nor compared with.',
          ),
        },
        'Ejects endpoints that take much longer than the others of the pool to begin their good answers.',
      ),
    ),
    ejectFor: Duration('The first ejection; each further one in a row is longer by as much, and decays.', '30s'),
    maxEjectFor: Duration('The longest ejection.', '5m'),
    maxEjected: Percent('At most this share of a pool is ejected; at least one endpoint may be.', '50%'),
    minHealthy: Type.Optional(
      Type.Integer({
        minimum: 0,
        description: 'Endpoints that must stay available: 1, unless maxEjected is 100%.',
      }),
    ),
  },
  'What real traffic tells about an endpoint. Nobody is ejected for failing while most of the others fail as well.',
);

export type StatusesConfig = StaticDecode<typeof StatusesSchema>;
export type PassiveHealthConfig = StaticDecode<typeof PassiveHealthSchema>;
