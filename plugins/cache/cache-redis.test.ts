import { describe } from 'vitest';
import { storingContract } from '../../test/support/cache-contract.ts';
import { lastingContract } from '../../test/support/cache-contract-in-time.ts';
import { hasRedis, redisServer } from '../../test/support/redis.ts';

const store = async () => (await redisServer()).url;

describe.skipIf(!hasRedis)('what is cached, in memory and Redis', () => {
  storingContract(store);
});

describe.skipIf(!hasRedis)('what becomes of it, in memory and Redis', () => {
  lastingContract(store);
});
