import { describe } from 'vitest';
import { storingContract } from '../../test/support/cache-contract.ts';
import { lastingContract } from '../../test/support/cache-contract-in-time.ts';

const store = () => Promise.resolve('memory');

describe('what is cached, in memory', () => {
  storingContract(store);
});

describe('what becomes of it, in memory', () => {
  lastingContract(store);
});
