/** Documents of other servers: fetched when they are needed, and no more often; kept when their servers are away. */
import { beforeEach, describe, expect, it } from 'vitest';
import { logEntries } from '../../test/support/config.ts';
import { FakeClock } from '../../test/support/fake-clock.ts';
import { startUpstream, type Answer, type Upstream } from '../../test/support/upstream.ts';
import { until } from '../../test/support/until.ts';
import type { RemoteDocument } from '../data/documents.ts';
import { DocumentFollower } from './documents.ts';

let clock: FakeClock;
let published: RemoteDocument[];
let log: ReturnType<typeof logEntries>;
let follower: DocumentFollower;

beforeEach(() => {
  clock = new FakeClock();
  published = [];
  log = logEntries();
  const publish = (document: RemoteDocument) => void published.push(document);
  follower = new DocumentFollower({ clock, random: () => 1, log: log.log, publish });
  return () => follower.close();
});

const json =
  (text: string, headers: Record<string, string> = {}, status = 200): Answer =>
  (_, response) =>
    void response.writeHead(status, headers).end(text);

/** Follows one document of a server until it was fetched, or could not be. */
async function follow(answer: Answer): Promise<Upstream> {
  const server = await startUpstream('issuer', answer);
  follower.follow([server.url]);
  await news(1);
  return server;
}

const news = (count: number) => until(() => published.length >= count, `${count} publications`);
const view = () => follower.views[0]!;

describe('a document', () => {
  it('is fetched at once, and told to all', async () => {
    const { url } = await follow(json('{"a":1}'));
    expect(published).toEqual([{ url, text: '{"a":1}', version: 1, failure: undefined, askedAt: clock.now() }]);
    expect(follower.all).toEqual(published);
  });

  it.each([
    ['what its server says', 'public, max-age=300', 300_000],
    ['a minute at least', 'max-age=0', 60_000],
    ['an hour at most', 'max-age=999999999', 3_600_000],
    ['ten minutes where its server says nothing', '', 600_000],
  ])('is fresh for %s', async (_, control, ms) => {
    const server = await follow(json('{}', { 'cache-control': control }));
    clock.advance(ms - 1);
    expect(server.requests).toBe(1);
    clock.advance(1);
    await news(2);
    expect(server.requests).toBe(2);
    expect(published[1]?.version).toBe(1);
  });

  it('is fetched once more when a thread misses something, but not before the cooldown is over', async () => {
    const server = await follow(json('{}'));
    clock.advance(29_999);
    for (let times = 0; times < 1000; times++) follower.refresh(server.url);
    expect(server.requests).toBe(1);
    expect(published).toHaveLength(1001);
    clock.advance(1);
    for (let times = 0; times < 1000; times++) follower.refresh(server.url);
    await news(1002);
    expect(server.requests).toBe(2);
    expect(published).toHaveLength(1002);
  });

  it('stays while its server is away, which is asked less and less often', async () => {
    const server = await follow(json('{"a":1}'));
    await server.kill();
    let waitMs = 600_000;
    for (const nextMs of [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]) {
      const told = published.length;
      clock.advance(waitMs);
      await news(told + 1);
      waitMs = nextMs;
    }
    expect(published.at(-1)).toMatchObject({ text: '{"a":1}', version: 1, failure: 'ECONNREFUSED' });
    expect(view()).toMatchObject({ fetches: { ok: 1, failed: 8 }, ageMs: 600_000 + 123_000 });
    await server.revive();
    const told = published.length;
    clock.advance(waitMs);
    await news(told + 1);
    expect(view()).toMatchObject({ failure: undefined, ageMs: 0, fetches: { ok: 2, failed: 8 } });
  });

  it.each<[string, Answer, string]>([
    ['a failure', json('{}', {}, 500), 'status 500'],
    ['a redirect', json('', { location: 'http://127.0.0.1:9/' }, 302), 'unexpected redirect'],
    ['no JSON', json('<html>'), 'not JSON'],
    ['no object', json('[]'), 'no JSON object'],
    ['a set of no keys', json('{"keys":[]}'), 'a set of no keys'],
    ['too much', json(`{"a":"${'x'.repeat(1024 * 1024)}"}`), 'larger than 1048576 bytes'],
    [
      'half of it',
      (_, response) => void response.writeHead(200, { 'content-length': '9' }).write('{', () => response.destroy()),
      'other side closed',
    ],
  ])('is not replaced by %s', async (_, answer, reason) => {
    await follow(answer);
    expect(published).toMatchObject([{ text: undefined, version: 0, failure: reason }]);
    expect(log.events()).toEqual(['document_failed']);
  });

  it('that nobody needs any more is not fetched again, and one that comes late is still an answer', async () => {
    let answer = () => {};
    const server = await startUpstream('issuer', (_, response) => {
      answer = () => void response.end('{}');
    });
    follower.follow([server.url]);
    await until(() => server.requests === 1, 'the fetch');
    follower.refresh(server.url);
    follower.follow([]);
    answer();
    await news(1);
    expect(follower.all).toEqual([]);
    expect(clock.pending).toBe(0);
    follower.refresh(server.url);
    expect(published.at(-1)).toMatchObject({ url: server.url, version: 0, failure: 'not followed' });
  });

  it('that stays needed is not fetched again by a reload', async () => {
    const server = await follow(json('{}'));
    follower.follow([server.url]);
    clock.advance(1000);
    expect(server.requests).toBe(1);
    expect(clock.pending).toBe(1);
  });
});
