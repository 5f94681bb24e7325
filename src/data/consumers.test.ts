import { describe, expect, it } from 'vitest';
import type { ConsumerConfig } from '../config/schema.ts';
import { StoredConsumers } from './consumers.ts';
import { shareConsumers } from './shared-consumers.ts';

const consumer = (name: string, parts: Partial<ConsumerConfig> = {}): ConsumerConfig => ({
  name,
  groups: [],
  metadata: {},
  apiKeys: [],
  basic: [],
  jwt: [],
  certificates: [],
  signatureKeys: [],
  ...parts,
});
const sha256 = (at: number) => at.toString(16).padStart(64, '0');
const withKey = (name: string, at: number) => consumer(name, { apiKeys: [{ id: `${name}-key`, sha256: sha256(at) }] });

function directory(files: readonly ConsumerConfig[], stored: readonly ConsumerConfig[] = []) {
  const store = new StoredConsumers();
  store.replace(shareConsumers(stored));
  return store.of(shareConsumers(files));
}

describe('consumers in shared memory', () => {
  it('are found among thousands by everything that is theirs, and by nothing else', () => {
    const many = Array.from({ length: 5_000 }, (_, at) =>
      consumer(`c${at}`, {
        apiKeys: [{ sha256: sha256(2 * at) }, { sha256: sha256(2 * at + 1) }],
        basic: [{ username: `u${at}`, password: 'scrypt$' }],
      }),
    );
    const known = directory(many);
    for (let at = 0; at < 5_000; at += 7) {
      expect(known.byName(`c${at}`)?.name).toBe(`c${at}`);
      expect(known.byApiKey(sha256(2 * at + 1))).toMatchObject({
        consumer: { name: `c${at}` },
        credential: { sha256: sha256(2 * at + 1) },
      });
      expect(known.byUsername(`u${at}`)?.consumer.name).toBe(`c${at}`);
    }
    expect(known.byApiKey(sha256(10_000))).toBeUndefined();
    expect(known.byName('u1')).toBeUndefined();
    expect(known.byUsername('c1')).toBeUndefined();
    expect(known.bySignatureKey('c1')).toBeUndefined();
  });

  it('come out as they went in', () => {
    const one = consumer('é', {
      groups: ['a'],
      metadata: { plan: { requests: 5, text: '日本' } },
      apiKeys: [{ id: 'k', sha256: sha256(1), expires: 1_800_000_000_000 }],
    });
    expect(directory([consumer('other'), one]).byName('é')).toEqual(one);
  });

  it('are one name in two spellings of an accent', () => {
    const known = directory([consumer('a', { basic: [{ username: 'zoe\u0308', password: 'scrypt$' }] })]);
    expect(known.byUsername('zo\u00eb')?.consumer.name).toBe('a');
  });

  it('none at all are no trouble', () => {
    expect(directory([]).byName('a')).toBeUndefined();
    expect(directory([]).byToken(() => true)).toBeUndefined();
  });

  it('known by conditions are asked in their order', () => {
    const known = directory(
      [withKey('a', 1), consumer('b', { jwt: [{ subject: 'x' }] }), consumer('c', { jwt: [{ subject: 'y' }] })],
      [consumer('d', { jwt: [{ subject: 'z' }] })],
    );
    expect(known.byToken(({ subject }) => subject === 'y')?.name).toBe('c');
    expect(known.byToken(() => true)?.name).toBe('b');
    expect(known.byToken(({ subject }) => subject === 'z')?.name).toBe('d');
    expect(known.byCertificate(() => true)).toBeUndefined();
  });
});

describe('files and store', () => {
  it('are both asked, the files first', () => {
    const known = directory([withKey('file', 1)], [withKey('store', 2), withKey('thief', 1)]);
    expect(known.byApiKey(sha256(1))?.consumer.name).toBe('file');
    expect(known.byApiKey(sha256(2))?.consumer.name).toBe('store');
  });

  it('of one name: the file alone says what opens its door', () => {
    const stored = consumer('a', { apiKeys: [{ sha256: sha256(2) }], jwt: [{ subject: 'x' }] });
    const known = directory([withKey('a', 1)], [stored]);
    expect(known.byApiKey(sha256(2))).toBeUndefined();
    expect(known.byToken(() => true)).toBeUndefined();
    expect(known.byName('a')?.apiKeys).toEqual([{ id: 'a-key', sha256: sha256(1) }]);
  });

  it('a change of the store is seen by a generation that serves, and told by the version', () => {
    const store = new StoredConsumers();
    const known = store.of(shareConsumers([]));
    const before = known.version;
    store.replace(shareConsumers([withKey('late', 3)]));
    expect(known.byApiKey(sha256(3))?.consumer.name).toBe('late');
    expect(known.version).toBeGreaterThan(before);
    store.replace(shareConsumers([]));
    expect(known.byApiKey(sha256(3))).toBeUndefined();
  });
});
