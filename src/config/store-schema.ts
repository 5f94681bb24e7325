/** `store:` of gateway.yaml: where counts live that several gateways share. */
import Type, { type StaticDecode } from 'typebox';
import { object } from './shapes.ts';
import { Duration } from './units.ts';

export const RedisUrl = Type.String({
  pattern: '^rediss?://',
  title: 'URL of Redis',
  examples: ['redis://redis.internal:6379/0', 'rediss://:${REDIS_PASSWORD}@redis.internal:6380'],
  description: 'redis://[user:password@]host:port/database, or rediss:// for TLS.',
});

export const OnStoreFailureSchema = (description: string, written?: 'local') =>
  Type.Enum(['allow', 'deny', 'local'], { description, ...(written === undefined ? {} : { default: written }) });

export const StoreSchema = Type.Union(
  [
    Type.Literal('memory', { description: 'This gateway alone.' }),
    RedisUrl,
    object({
      url: RedisUrl,
      keyPrefix: Type.String({ default: 'aya:', description: 'Begins every key: gateways with the same one share.' }),
      timeout: Duration('A request waits no longer for Redis.', '50ms'),
      onFailure: OnStoreFailureSchema(
        'What a limit does while Redis is away: count in this gateway alone, let all pass, or refuse all.',
        'local',
      ),
    }),
  ],
  {
    default: 'memory',
    description:
      'Where limits are counted: in memory, by each gateway alone, or in Redis, over all gateways, which then share consumers too.',
  },
);

export type StoreConfig = StaticDecode<typeof StoreSchema>;
