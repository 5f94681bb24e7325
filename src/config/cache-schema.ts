/** `cache:` of gateway.yaml: the memory that the caches of all routes share. */
import Type, { type StaticDecode } from 'typebox';
import { object, settings } from './shapes.ts';
import { RedisUrl } from './store-schema.ts';
import { Duration, Size } from './units.ts';

const AnswerStoreSchema = Type.Union(
  [
    Type.Literal('memory', { description: 'Each gateway has its own.' }),
    Type.Literal('redis', { description: 'Shared through the Redis that `store` names.' }),
    RedisUrl,
    object({
      url: RedisUrl,
      keyPrefix: Type.String({ default: 'aya:', description: 'Begins every key: gateways with the same one share.' }),
      timeout: Duration('A request waits no longer for Redis; then the upstream is asked.', '50ms'),
    }),
  ],
  {
    default: 'memory',
    description:
      'What several gateways share: nothing, or what each has stored, through a Redis behind their memories. One of its own (maxmemory-policy allkeys-lru) leaves limits and consumers alone.',
  },
);

export const CacheMemorySchema = settings(
  {
    memory: Size('For stored answers, shared by all threads; their index takes 9 % more.', '64MiB'),
    maxEntry: Size('Largest body that is stored; at most an eighth of the memory.', '1MiB'),
    store: AnswerStoreSchema,
  },
  'Where answers are stored, for all routes that have a cache.',
);

export type AnswerStoreConfig = StaticDecode<typeof AnswerStoreSchema>;
export type CacheMemoryConfig = StaticDecode<typeof CacheMemorySchema>;
