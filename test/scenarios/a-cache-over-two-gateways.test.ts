/** Two gateways share what they have stored through one Redis: found, forgotten, lost and found again. */
import { hash } from 'node:crypto';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';
import { hasRedis, redisServer, type RedisServer } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { startUpstream, type Answer as Respond, type Upstream } from '../support/upstream.ts';

let redis: RedisServer;
let upstream: Upstream;
/** On two threads, on one. */
let one: GatewayFixture;
let other: GatewayFixture;
let answers = 0;
let paths = 0;
let path: string;
let headers: Record<string, string>;
/** What answers wait for. */
let held: Promise<void> | undefined;

/** As a balancer in front of both spells it: the same URL at both. */
const FOR = { 'x-forwarded-host': 'api.example.com' };

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly cache: string;
  readonly age: number;
}

async function get(gateway: GatewayFixture, target = path, fields: Record<string, string> = {}): Promise<Answer> {
  const response = await fetch(gateway.url + target, {
    headers: { ...FOR, ...fields },
  });
  const cache = response.headers.get('cache-status') ?? '';
  return {
    status: response.status,
    body: await response.text(),
    cache,
    age: Number(response.headers.get('age') ?? -1),
  };
}

const write = (gateway: GatewayFixture, target = path) => fetch(gateway.url + target, { method: 'POST', headers: FOR });

async function purge(gateway: GatewayFixture, query: string): Promise<{ purged: number; fleet: string }> {
  const response = await fetch(`${gateway.adminUrl}/cache/purge?${query}`, { method: 'POST' });
  return (await response.json()) as { purged: number; fleet: string };
}

const urlOf = (target: string) => encodeURIComponent(`http://api.example.com${target}`);

/** Written behind the answer: the store has it a moment later. */
async function storedBy(gateway: GatewayFixture, target = path, fields: Record<string, string> = {}): Promise<Answer> {
  const before = await keys();
  const answer = await get(gateway, target, fields);
  await until(async () => (await keys()) > before, 'the answer to be written');
  return answer;
}

const keys = async () => (await redis.command('KEYS', '*:answer:*')).split('answer:').length - 1;

describe.skipIf(!hasRedis)('a cache over two gateways', () => {
  beforeAll(async () => {
    redis = await redisServer();
    upstream = await startUpstream('origin', respond);
    const route = (name: string, more: object = {}) => ({
      name,
      match: { path: `/${name}/*` },
      pool: 'origin',
      retry: false,
      cache: { ttl: '1h', staleIfError: '1h' },
      ...more,
    });
    const start = (threads: number) =>
      gatewayFixture({
        gateway: {
          threads,
          trustedProxies: ['127.0.0.1'],
          store: { url: redis.url, timeout: '200ms' },
          cache: { memory: '2MiB', maxEntry: '128KiB', store: 'redis' },
          consumers: ['anna', 'bert'].map((name) => ({
            name,
            apiKeys: [{ sha256: hash('sha256', `${name}s-own-key-0001`) }],
          })),
        },
        files: {
          'origin.yaml': {
            pools: { origin: { endpoints: [upstream.url], health: { passive: { consecutiveFailures: 1000 } } } },
            routes: [route('open'), route('guarded', { auth: { apiKey: { header: 'x-api-key' } } })],
          },
        },
      });
    [one, other] = await Promise.all([start(2), start(1)]);
  });

  beforeEach(() => {
    path = `/open/${++paths}`;
    headers = { 'cache-control': 'max-age=60' };
    upstream.clear();
  });

  const respond: Respond = (_, response) => {
    const [body, fields] = [`answer ${++answers}`, headers];
    const answer = () => response.writeHead(200, { 'content-length': body.length, ...fields }).end(body);
    if (held === undefined) answer();
    else void held.then(answer);
  };

  /** In the memories of both, and in the store. */
  async function everywhere(target = path): Promise<string> {
    const { body } = await storedBy(one, target);
    for (const gateway of [one, other]) expect(await get(gateway, target)).toMatchObject({ body });
    return body;
  }

  const isGone = (gateway: GatewayFixture, body: string, target = path) =>
    until(async () => (await get(gateway, target)).body !== body, 'the old answer to be gone');

  it('what one has fetched the other gives, with its age', async () => {
    const { body } = await storedBy(one);
    const found = await get(other);
    expect(found).toMatchObject({ body, cache: expect.stringMatching(/^aya; hit; ttl=\d\d; detail=store$/) as string });
    expect(found.age).toBeGreaterThanOrEqual(0);
    // From here on it is in memory, too.
    expect((await get(other)).cache).toMatch(/^aya; hit; ttl=\d\d$/);
    expect(upstream.requests).toBe(1);
  });

  it('a crowd at the other asks the store once', async () => {
    const { body } = await storedBy(one);
    const before = await asks(other, 'hit');
    const crowd = await Promise.all(Array.from({ length: 30 }, () => get(other)));
    expect(new Set(crowd.map((answer) => answer.body))).toEqual(new Set([body]));
    expect(await asks(other, 'hit')).toBe(before + 1);
    expect(upstream.requests).toBe(1);
  });

  it('a HEAD, a range and a request for what is stored alone are answered from the store', async () => {
    const { body } = await storedBy(one);
    const response = await fetch(other.url + path, { headers: FOR, method: 'HEAD' });
    expect(response.headers.get('cache-status')).toMatch(/hit.*detail=store/);
    path = `/open/${++paths}`;
    const ranged = await storedBy(one);
    expect(await get(other, path, { range: 'bytes=0-2' })).toMatchObject({
      status: 206,
      body: ranged.body.slice(0, 3),
    });
    path = `/open/${++paths}`;
    const alone = { 'cache-control': 'only-if-cached' };
    expect(await get(other, path, alone)).toMatchObject({ status: 504 });
    await storedBy(one);
    expect(await get(other, path, alone)).toMatchObject({ status: 200 });
    expect(body).not.toBe('');
    expect(upstream.requests).toBe(3);
  });

  it('each gets the variant that its request chooses', async () => {
    headers = { 'cache-control': 'max-age=60', vary: 'accept-language' };
    const german = await storedBy(one, path, { 'accept-language': 'de' });
    const french = await storedBy(one, path, { 'accept-language': 'fr' });
    expect(french.body).not.toBe(german.body);
    expect(await get(other, path, { 'accept-language': 'de' })).toMatchObject({ body: german.body });
    expect(await get(other, path, { 'accept-language': 'FR' })).toMatchObject({ body: french.body });
    expect((await get(other, path, { 'accept-language': 'it' })).cache).toMatch(/fwd/);
    expect(upstream.requests).toBe(3);
  });

  it('a known caller finds its own answers at both, and no other does', async () => {
    path = `/guarded/${++paths}`;
    const [anna, bert] = ['anna', 'bert'].map((name) => ({ 'x-api-key': `${name}s-own-key-0001` }));
    const hers = await storedBy(one, path, anna);
    expect((await get(other, path, bert)).body).not.toBe(hers.body);
    expect(await get(other, path, anna)).toMatchObject({ body: hers.body });
    expect(upstream.requests).toBe(2);
  });

  it('what a write makes unusable at one is unusable at both', async () => {
    const body = await everywhere();
    await write(one);
    expect((await get(one)).body).not.toBe(body);
    await isGone(other, body);
  });

  it.each([
    ['URL', (target: string) => `url=${urlOf(target)}`],
    ['prefix', (target: string) => `prefix=${urlOf(target.slice(0, -1))}`],
    ['tag', () => 'tag=red'],
  ])('once a purge by %s has returned, the store gives nothing of it, and soon no memory', async (_, query) => {
    headers = { 'cache-control': 'max-age=60', 'surrogate-key': 'red green' };
    const target = `${path}/a`;
    const body = await everywhere(target);
    headers = { 'cache-control': 'max-age=60', 'surrogate-key': 'blue' };
    const unpurged = await storedBy(one, `/open/other/${++paths}`);
    // The other knows this one from the store alone: nothing of it has to be heard.
    headers = { 'cache-control': 'max-age=60', 'surrogate-key': 'red green' };
    const far = `${path}/a?far`;
    const { body: farBody } = await storedBy(one, far);
    const asked = query(target);
    expect(await purge(one, asked.startsWith('url') ? `${asked}&url=${urlOf(far)}` : asked)).toMatchObject({
      fleet: 'told',
    });
    expect((await get(other, far)).body).not.toBe(farBody);
    await isGone(other, body, target);
    expect((await get(one, target)).body).not.toBe(body);
    expect((await get(other, `/open/other/${paths}`)).body).toBe(unpurged.body);
  });

  it('an answer that was on its way while its tag was purged elsewhere is stored nowhere', async () => {
    headers = { 'cache-control': 'max-age=60', 'surrogate-key': 'late' };
    let release = () => {};
    held = new Promise((resolve) => (release = resolve));
    const late = get(one);
    await until(() => upstream.requests === 1, 'the upstream to be asked');
    await purge(other, 'tag=late');
    release();
    held = undefined;
    const { body } = await late;
    await isGone(one, body);
    expect((await get(other)).body).not.toBe(body);
  });

  it('everything in Redis expires, and nothing there is believed that is not whole', async () => {
    const { body } = await storedBy(one);
    const names = (await redis.command('KEYS', 'aya:cache:*')).split('\r\n').filter((line) => line.startsWith('aya:'));
    expect(names.length).toBeGreaterThan(4);
    for (const name of names) expect(Number((await redis.command('PTTL', name)).slice(1))).toBeGreaterThan(0);
    for (const name of names.filter((key) => key.includes(':answer:')))
      await redis.command('HSET', name, 'body', 'forged');
    expect(await get(other)).toMatchObject({ status: 200, cache: expect.stringContaining('fwd=uri-miss') as string });
    expect((await get(other)).body).not.toBe(body);
    path = `/open/${++paths}`;
    await storedBy(one);
    for (const name of names.filter((key) => key.includes(':answer:'))) {
      await redis.command('DEL', name);
      await redis.command('SET', name, 'of another type');
    }
    expect(await get(other)).toMatchObject({ status: 200 });
    for (const name of names) await redis.command('DEL', name);
  });

  it('a memory that may have missed something begins anew', async () => {
    const body = await everywhere();
    for (const name of (await redis.command('KEYS', '*:news')).split('\r\n')) {
      if (name.startsWith('aya:')) await redis.command('DEL', name);
    }
    await until(() => other.logs.find(({ event }) => event === 'cache_emptied'), 'the memory to be emptied');
    // The store still has it.
    expect(await get(other)).toMatchObject({ body });
  });

  it('while Redis hangs nobody waits long, and what is purged then stays purged at all', async () => {
    const [body, written] = [await everywhere(), await everywhere(`${path}/written`)];
    redis.pause();
    expect((await get(one)).cache).toMatch(/hit/);
    for (let times = 0; times < 3; times++) {
      expect(await get(one, `${path}/new/${times}`)).toMatchObject({ status: 200 });
    }
    expect(await purge(one, `url=${urlOf(path)}`)).toMatchObject({ fleet: 'waiting' });
    await write(one, `${path}/written`);
    expect((await get(one)).body).not.toBe(body);
    expect((await get(other)).body).toBe(body);
    redis.resume();
    await isGone(other, body);
    await isGone(other, written, `${path}/written`);
    expect((await get(one)).body).not.toBe(body);
    expect((await get(one, `${path}/written`)).body).not.toBe(written);
  });

  it('a restart of Redis costs no request, and brings back nothing that was forgotten', async () => {
    const body = await everywhere();
    await redis.kill();
    expect((await get(one)).cache).toMatch(/hit/);
    expect(await get(other, `${path}/alone`)).toMatchObject({ status: 200 });
    expect(await purge(one, `url=${urlOf(path)}`)).toMatchObject({ fleet: 'waiting' });
    expect((await get(one)).body).not.toBe(body);
    await redis.start();
    await isGone(other, body);
    expect((await get(one)).body).not.toBe(body);
    // And it is shared again.
    await until(async () => {
      const target = `/open/${++paths}`;
      const first = await get(one, target);
      return (await get(other, target)).body === first.body;
    }, 'answers to be shared again');
  });
});

/** Of all routes. */
async function asks(gateway: GatewayFixture, result: string): Promise<number> {
  const { body } = await gateway.admin('/metrics');
  const lines = body.matchAll(new RegExp(`^aya_cache_store_asks_total\\{.*result="${result}"\\} (\\d+)`, 'gm'));
  return [...lines].reduce((sum, [, count]) => sum + Number(count), 0);
}
