import { describe } from 'vitest';
import { cacheContract } from '../../test/support/cache-contract.ts';

describe('the cache, in memory', () => {
  cacheContract(() => Promise.resolve('memory'));
});
