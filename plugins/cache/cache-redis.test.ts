import { describe } from 'vitest';
import { cacheContract } from '../../test/support/cache-contract.ts';
import { hasRedis, redisServer } from '../../test/support/redis.ts';

describe.skipIf(!hasRedis)('the cache, in memory and Redis', () => {
  cacheContract(async () => (await redisServer()).url);
});
