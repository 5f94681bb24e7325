import { describe, expect, it } from 'vitest';
import { createApiKey, hashApiKey, isWellFormed } from './api-key.ts';

describe('an API key', () => {
  it('has the form that scanners for leaks look for, and is never the same twice', () => {
    const keys = Array.from({ length: 100 }, () => createApiKey().key);
    for (const key of keys) {
      expect(key).toMatch(/^aya_[0-9A-Za-z]{8}_[0-9A-Za-z]{30}_[0-9A-Za-z]{6}$/);
      expect(isWellFormed(key)).toBe(true);
    }
    expect(new Set(keys).size).toBe(100);
  });

  it('carries its id, and is kept as its hash alone', () => {
    const { id, key, sha256 } = createApiKey('ci_2');
    expect(id).toBe('ci_2');
    expect(key).toMatch(/^aya_ci_2_/);
    expect(sha256).toBe(hashApiKey(key));
    expect(sha256).toMatch(/^[0-9a-f]{64}$/);
  });

  it('with any one character replaced does not add up', () => {
    const { key } = createApiKey('k');
    for (let at = 4; at < key.length; at++) {
      const other = key[at] === 'x' ? 'y' : 'x';
      expect(isWellFormed(key.slice(0, at) + other + key.slice(at + 1)), `at ${at}`).toBe(false);
    }
  });

  it.each(['', ' ', 'aya_', 'aya_x', 'a b', 'a\u0000', 'clé', 'ａｙａ', 'a\tb', 'x'.repeat(513)])(
    'can never be %j',
    (key) => expect(isWellFormed(key)).toBe(false),
  );

  it.each(['legacy-key', 'sk_live_123', 'a,b;c=d', '{"a":1}'])('of another maker can be %j', (key) =>
    expect(isWellFormed(key)).toBe(true),
  );
});
