import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../test/support/fake-clock.ts';
import { logEntries } from '../../test/support/config.ts';
import { redisOptions } from '../../test/support/redis.ts';
import { until } from '../../test/support/until.ts';
import { seededRandom } from '../clock.ts';
import { StoredConsumers } from '../data/consumers.ts';
import { shareConsumers, type SharedConsumers } from '../data/shared-consumers.ts';
import { StoredConsumerFollower, type ConsumerStore } from './stored-consumers.ts';

const sha = (digit: string) => `f${digit.repeat(63)}`;
const written = (name: string, ...digits: string[]) =>
  JSON.stringify({ name, apiKeys: digits.map((digit) => ({ sha256: sha(digit) })) });
const limited = (name: string, digit: string, rateLimit: unknown) =>
  JSON.stringify({ name, apiKeys: [{ sha256: sha(digit) }], rateLimit });

async function following(first: Record<string, string>) {
  const clock = new FakeClock();
  const { log, entries } = logEntries();
  const published: SharedConsumers[] = [];
  const store: ConsumerStore & { texts: Map<string, string>; isAway: boolean; loads: number; tell: () => void } = {
    texts: new Map(Object.entries(first)),
    isAway: false,
    loads: 0,
    tell: () => {},
    async load(): Promise<ReadonlyMap<string, string>> {
      store.loads++;
      if (store.isAway) throw new Error('the store is away');
      return new Map(store.texts);
    },
    async listen(onNews: () => void) {
      store.tell = onNews;
    },
    async close() {},
  };
  const follower = new StoredConsumerFollower({
    clock,
    random: seededRandom(1),
    log,
    publish: (consumers) => void published.push(consumers),
    open: async () => store,
  });
  await follower.start(redisOptions(0));
  const poll = async () => {
    const { loads } = store;
    clock.advance(5_000);
    await until(() => store.loads > loads, 'the poll');
    await new Promise(setImmediate);
  };
  /** Owner of a key, as a thread would find it. */
  const ownerOf = (digit: string) => {
    const known = new StoredConsumers();
    known.replace(published.at(-1)!);
    return known.of(shareConsumers([])).byApiKey(sha(digit))?.consumer.name;
  };
  const complaints = () =>
    entries.filter(({ event }) => event === 'stored_consumer_refused').map((entry) => entry.message);
  return { store, follower, published, poll, ownerOf, complaints };
}

describe('consumers of a store', () => {
  it('are told to the threads when they change, and only then', async () => {
    const { store, published, poll, ownerOf, follower } = await following({ a: written('a', '1') });
    expect([published.length, ownerOf('1')]).toEqual([1, 'a']);
    expect(follower.current).toBe(published[0]);
    await poll();
    expect(published).toHaveLength(1);
    store.texts.set('a', written('a', '2'));
    await poll();
    expect([published.length, ownerOf('1'), ownerOf('2')]).toEqual([2, undefined, 'a']);
    store.texts.clear();
    await poll();
    expect(ownerOf('2')).toBeUndefined();
  });

  it('are read at once when the store tells of a change', async () => {
    const { store, published, ownerOf } = await following({});
    store.texts.set('a', written('a', '1'));
    store.tell();
    await until(() => published.length === 2, 'the news');
    expect(ownerOf('1')).toBe('a');
  });

  it('serve on while the store is away', async () => {
    const { store, published, poll, ownerOf } = await following({ a: written('a', '1') });
    store.isAway = true;
    store.texts.clear();
    await poll();
    expect([published.length, ownerOf('1')]).toEqual([1, 'a']);
    store.isAway = false;
    await poll();
    expect(ownerOf('1')).toBeUndefined();
  });

  it('that are wrong are left out, each told once', async () => {
    const { poll, ownerOf, complaints, store } = await following({
      a: written('a', '1'),
      b: '{',
      c: written('other', '2'),
      d: JSON.stringify({ name: 'd', apiKeys: [{ sha256: 'short' }] }),
      e: JSON.stringify({ name: 'e', basic: [{ username: 'e', password: 'scrypt$4194304$8$1$c2FsdHNhbHQ$aaaa' }] }),
      f: '{"name":"f","__proto__":{"groups":["admins"]}}',
      g: 'null',
      h: limited('h', '4', { max: 10 }),
      i: limited('i', '5', { quota: { max: 10, per: 'day', timeZone: 'Europe/Nowhere' } }),
      j: limited('j', '6', { max: 10, per: '1h', by: { cel: '((' } }),
      k: limited('k', '7', [{ max: 10, per: '1h', allow: ['10.0.0.0/99'] }]),
    });
    expect(ownerOf('1')).toBe('a');
    const named = complaints().map((message) => /^consumer '(\w)' of the store is left out: ./.exec(message)?.[1]);
    expect(named).toEqual(['b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k']);
    const { length } = complaints();
    store.texts.set('z', written('z', '3'));
    await poll();
    expect([ownerOf('3'), complaints().length]).toEqual(['z', length]);
  });

  it('have one owner for each credential, the first by name', async () => {
    const { ownerOf, complaints } = await following({ b: written('b', '1', '2'), a: written('a', '1') });
    expect([ownerOf('1'), ownerOf('2')]).toEqual(['a', undefined]);
    expect(complaints()).toEqual([
      "consumer 'b' of the store is left out: one of its credentials is that of another consumer",
    ]);
  });
});
