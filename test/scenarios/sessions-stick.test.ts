/** Clients stay where their sessions are: by a cookie of ours, by a name that the service gives, over threads, reloads and kills. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { cleanup } from '../support/cleanup.ts';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';
import { Http2Client } from '../support/http2-client.ts';
import { until } from '../support/until.ts';
import { openSocket, startSocketUpstream, type SocketUpstream } from '../support/web-socket.ts';
import { echo, startUpstream, status, type Answer, type Echo, type Upstream } from '../support/upstream.ts';

const SECRET = 'a secret of the whole fleet';
const LOGIN = /\/login\/(\w+)$/;

/** Gives sessions names of its own where it is asked to; fails where it is asked to. */
const service: Answer = (request, response, upstream) => {
  const [, name] = LOGIN.exec(request.url!) ?? [];
  if (name !== undefined) response.setHeader('set-cookie', `SESSION=${name}; Path=/; HttpOnly`);
  if (name !== undefined) response.setHeader('x-session', name);
  if (request.url!.endsWith('/cacheable')) response.setHeader('cache-control', 'public, max-age=60');
  if (request.url === `/fail-at-${upstream.name}`) return status(503)(request, response, upstream);
  echo(request, response, upstream);
};

/** A client that keeps cookies, as browsers do. */
class Browser {
  readonly jar = new Map<string, string>();
  /** Of the latest answer. */
  headers = new Headers();
  status = 0;
  url: string;

  constructor(url: string) {
    this.url = url;
  }

  /** @returns the instance that answered. */
  async get(path: string, headers: Readonly<Record<string, string>> = {}): Promise<string> {
    const cookie = [...this.jar].map(([name, value]) => `${name}=${value}`).join('; ');
    const answer = await fetch(this.url + path, { headers: { ...headers, ...(cookie === '' ? {} : { cookie }) } });
    this.headers = answer.headers;
    this.status = answer.status;
    for (const set of answer.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(set)!;
      this.jar.set(name!, value!);
    }
    const text = await answer.text();
    return answer.status === 200 ? (JSON.parse(text) as Echo).instance : '';
  }

  /** Everybody that answers so many requests. */
  async visited(path: string, requests = 12): Promise<string[]> {
    const seen = new Set<string>();
    for (let sent = 0; sent < requests; sent++) seen.add(await this.get(path));
    return [...seen].sort();
  }
}

const health = {
  active: { path: '/healthz', interval: '50ms', fastInterval: '20ms', healthyAfter: 1, unhealthyAfter: 1 },
  passive: false,
  panic: { below: '0%' },
};

const serviceFile = (endpoints: readonly string[], pools: Readonly<Record<string, object>>) => ({
  pools: Object.fromEntries(
    Object.entries(pools).map(([name, pool]) => [name, { endpoints, balance: 'round-robin', ...pool }]),
  ),
  routes: Object.keys(pools).map((name) => ({
    name,
    match: { path: `/${name}/*` },
    pool: name,
    rewrite: { prefix: '/' },
    ...(name === 'cached' && { cache: { ttl: '1m' } }),
    ...(name === 'cookie' && { retry: { on: ['connect', 503] } }),
  })),
});

const POOLS = {
  plain: {},
  cookie: { sticky: { cookie: 'aya-cookie', ttl: '1h' } },
  other: { sticky: { cookie: 'aya-cookie', ttl: '1h', path: '/other' } },
  cached: { sticky: { cookie: 'aya-cached' } },
  strict: {
    sticky: {
      ...{ cookie: '__Secure-strict', secure: 'always', sameSite: 'none', httpOnly: false, path: '/strict' },
      ...{ domain: 'example.com', lifetime: 'permanent', ttl: '1h', maxAge: '24h' },
    },
  },
  watched: { sticky: { cookie: 'aya-watched' }, health },
  returning: { sticky: { cookie: 'aya-back', returns: true }, health },
  learned: { sticky: { on: 'cookie:SESSION' } },
  named: { sticky: { on: 'header:x-session' } },
  back: { sticky: { on: 'header:x-session', returns: true }, health },
};

describe('a session', () => {
  let upstreams: Upstream[];
  let sockets: SocketUpstream[];
  let gateway: GatewayFixture;

  beforeAll(async () => {
    upstreams = await Promise.all(['a', 'b', 'c'].map((name) => startUpstream(name, service)));
    sockets = await Promise.all(['a', 'b', 'c'].map((name) => startSocketUpstream(name)));
    gateway = await gatewayFixture({
      gateway: { threads: 2, secret: SECRET },
      files: {
        'service.yaml': serviceFile(
          upstreams.map(({ url }) => url),
          POOLS,
        ),
        'sockets.yaml': {
          pools: {
            sockets: {
              endpoints: sockets.map(({ url }) => url),
              balance: 'round-robin',
              sticky: { cookie: 'aya', path: '/sockets' },
            },
          },
          routes: [
            { name: 'sockets', match: { path: '/sockets/plain' }, pool: 'sockets' },
            { name: 'inspected', match: { path: '/sockets/inspected' }, pool: 'sockets', websocket: { inspect: {} } },
          ],
        },
      },
    });
  });

  const browser = () => new Browser(gateway.url);
  const counted = async (route: string, session: string) => {
    const { body } = await gateway.admin('/metrics');
    const line = new RegExp(`^aya_sticky_requests_total\\{route="${route}",session="${session}"\\} (\\d+)`, 'm');
    return Number(line.exec(body)?.[1] ?? 0);
  };
  const named = (name: string) => upstreams.find((upstream) => upstream.name === name)!;

  it('shows in /pools how it is kept', async () => {
    const { pools } = JSON.parse((await gateway.admin('/pools')).body) as {
      pools: { name: string; sticky?: string }[];
    };
    const shown = Object.fromEntries(pools.map(({ name, sticky }) => [name, sticky]));
    expect(shown).toMatchObject({ cookie: 'cookie:aya-cookie', named: 'header:x-session' });
    expect(shown['plain']).toBeUndefined();
  });

  it('without stickiness there is none', async () => {
    const client = browser();
    expect(await client.visited('/plain/x')).toEqual(['a', 'b', 'c']);
    expect(client.headers.getSetCookie()).toEqual([]);
  });

  describe('by a cookie of the gateway', () => {
    it('is where it was answered first, on all threads', async () => {
      const homes = new Set<string>();
      for (let clients = 0; clients < 6; clients++) {
        const visited = await browser().visited('/cookie/x');
        expect(visited).toHaveLength(1);
        homes.add(visited[0]!);
      }
      expect(homes.size).toBe(3);
      expect(await counted('cookie', 'stuck')).toBeGreaterThan(60);
    });

    it('is told to the client once, while it is good', async () => {
      const client = browser();
      await client.get('/cookie/x');
      expect(client.headers.getSetCookie()).toEqual([
        expect.stringMatching(/^aya-cookie=[\w-]{48}; Path=\/; SameSite=Lax; HttpOnly$/),
      ]);
      expect(client.headers.get('cache-control')).toBe('private');
      await client.get('/cookie/x');
      expect(client.headers.getSetCookie()).toEqual([]);
      expect(client.headers.get('cache-control')).toBeNull();
    });

    it('has the attributes that it is given, and its absolute end', async () => {
      const client = browser();
      await client.get('/strict/x');
      const value = '__Secure-strict=[\\w-]{48}';
      expect(client.headers.getSetCookie()).toEqual([
        expect.stringMatching(`^${value}; Path=/strict; Domain=example\\.com; SameSite=None; Max-Age=3600; Secure$`),
      ]);
    });

    it('is begun anew for what nobody of us has written, and says why', async () => {
      const good = browser();
      await good.get('/cookie/x');
      const value = good.jar.get('aya-cookie')!;
      const turned = `${value.slice(0, -1)}${value.endsWith('A') ? 'B' : 'A'}`;
      for (const [written, why] of [
        [value.slice(0, -1), 'malformed'],
        [`${value}A`, 'malformed'],
        ['', 'malformed'],
        ['%00"\\', 'malformed'],
        ['A'.repeat(48), 'forged'],
        [turned, 'forged'],
        [`${value.startsWith('B') ? 'C' : 'B'}${value.slice(1)}`, 'forged'],
      ] as const) {
        const before = await counted('cookie', why);
        const client = browser();
        client.jar.set('aya-cookie', written);
        await client.get('/cookie/x');
        expect(client.status).toBe(200);
        expect(client.jar.get('aya-cookie'), written).toMatch(/^[\w-]{48}$/);
        expect(client.jar.get('aya-cookie')).not.toBe(written);
        expect(await counted('cookie', why), written).toBe(before + 1);
        expect(await client.visited('/cookie/x', 6)).toHaveLength(1);
      }
    });

    it('of another pool is no session here', async () => {
      const client = browser();
      await client.get('/other/x');
      const before = await counted('cookie', 'forged');
      await client.get('/cookie/x');
      expect(await counted('cookie', 'forged')).toBe(before + 1);
    });

    it('is never stored in the cache, nor given from there', async () => {
      const first = browser();
      await first.get('/cached/cacheable');
      expect(first.jar.has('aya-cached')).toBe(true);
      const second = browser();
      await second.get('/cached/cacheable');
      expect(second.headers.get('cache-status')).toContain('hit');
      expect(second.headers.getSetCookie()).toEqual([]);
      expect(upstreams.flatMap(({ seen }) => seen).filter(({ target }) => target === '/cacheable')).toHaveLength(1);
    });

    it('is with whoever answered, when the request was tried again elsewhere', async () => {
      const client = browser();
      const home = await client.get('/cookie/x');
      const next = await client.get(`/cookie/fail-at-${home}`);
      expect(next).not.toBe(home);
      expect(await client.visited('/cookie/x')).toEqual([next]);
    });

    it('moves when its endpoint is not healthy, once, and stays there', async () => {
      const client = browser();
      const home = await client.get('/watched/x');
      await named(home).kill();
      const next = await client.get('/watched/x');
      expect(next).not.toBe(home);
      await until(async () => (await gateway.admin('/pools')).body.includes('unhealthy'), 'the verdict');
      expect(await client.visited('/watched/x')).toEqual([next]);
      await named(home).revive();
      await until(async () => !(await gateway.admin('/pools')).body.includes('unhealthy'), 'the other verdict');
      expect(await client.visited('/watched/x')).toEqual([next]);
    });

    it('returns to where it began, where that is wanted', async () => {
      const client = browser();
      const home = await client.get('/returning/x');
      await named(home).kill();
      const next = await client.get('/returning/x');
      expect(await client.visited('/returning/x')).toEqual([next]);
      await named(home).revive();
      await until(async () => !(await gateway.admin('/pools')).body.includes('unhealthy'), 'the verdict');
      await until(async () => (await client.get('/returning/x')) === home, 'its return');
      expect(await client.visited('/returning/x')).toEqual([home]);
    });

    it('is kept by curl, in its jar', async () => {
      const dir = await mkdtemp(join(tmpdir(), 'aya-jar-'));
      cleanup(() => rm(dir, { recursive: true }));
      const jar = join(dir, 'jar');
      const seen = new Set<string>();
      for (let sent = 0; sent < 6; sent++) {
        const { stdout } = await promisify(execFile)('curl', ['-s', '-c', jar, '-b', jar, `${gateway.url}/cookie/x`]);
        seen.add((JSON.parse(stdout) as Echo).instance);
      }
      expect([...seen]).toHaveLength(1);
      expect(await readFile(jar, 'latin1')).toMatch(
        /#HttpOnly_127\.0\.0\.1\tFALSE\t\/\tFALSE\t0\taya-cookie\t[\w-]{48}/,
      );
    });
  });

  describe('by the name that the service gives it', () => {
    it('is where the service named it: in a cookie', async () => {
      const client = browser();
      const home = await client.get('/learned/login/anna');
      expect(await client.visited('/learned/x')).toEqual([home]);
      const second = browser();
      second.jar.set('SESSION', 'anna');
      expect(await second.visited('/learned/x', 6)).toEqual([home]);
      expect(client.headers.getSetCookie()).toEqual([]);
    });

    it('goes on under the new name that it is given', async () => {
      const client = browser();
      const home = await client.get('/learned/login/before');
      expect(await client.get('/learned/login/after')).toBe(home);
      expect(client.jar.get('SESSION')).toBe('after');
      expect(await client.visited('/learned/x')).toEqual([home]);
    });

    it('is where the service named it: in a field, also for one that brings the name along', async () => {
      const learned = await browser().get('/named/login/ben');
      for (const [name, home] of [
        ['ben', learned],
        ['carl', await browser().get('/named/x', { 'x-session': 'carl' })],
      ] as const) {
        for (let sent = 0; sent < 8; sent++) {
          expect(await browser().get('/named/x', { 'x-session': name })).toBe(home);
        }
      }
      expect(await browser().visited('/named/x')).toEqual(['a', 'b', 'c']);
      expect(await counted('named', 'unknown')).toBe(1);
    });

    it('moves with its endpoint’s end, for all that name it, and returns where that is wanted', async () => {
      const dora = { 'x-session': 'dora' };
      const home = await browser().get('/back/x', dora);
      await named(home).kill();
      const next = await browser().get('/back/x', dora);
      for (let sent = 0; sent < 6; sent++) expect(await browser().get('/back/x', dora)).toBe(next);
      await named(home).revive();
      await until(async () => (await browser().get('/back/x', dora)) === home, 'its return');
      for (let sent = 0; sent < 6; sent++) expect(await browser().get('/back/x', dora)).toBe(home);
    });
  });

  it('over HTTP/2 is the same, with each cookie in a field of its own', async () => {
    const client = await Http2Client.connect(gateway.url);
    const first = await client.ask('/cookie/x');
    const [set] = [first.headers['set-cookie'] ?? []].flat();
    const crumbs = ['theme=dark', set!.split(';')[0]!, 'lang=de'].flatMap((crumb) => ['cookie', crumb]);
    const home = (JSON.parse(first.body.toString()) as Echo).instance;
    for (let sent = 0; sent < 6; sent++) {
      const answer = await client.ask('/cookie/x', crumbs);
      expect((JSON.parse(answer.body.toString()) as Echo).instance).toBe(home);
      expect(answer.headers['set-cookie']).toBeUndefined();
    }
  });

  it('of WebSockets is told with the 101, of inspected ones too', async () => {
    /** Who has agreed, and the cookie that came along. */
    const open = async (path: string, fields: readonly string[] = []) => {
      const before = sockets.map((upstream) => upstream.upgrades.length);
      const { connection, answer } = await openSocket(gateway.port, path, fields);
      expect(answer.status).toBe(101);
      connection.close();
      const instance = sockets.findIndex((upstream, at) => upstream.upgrades.length > before[at]!);
      return { instance, set: answer.field('set-cookie')?.split(';')[0] };
    };
    for (const path of ['/sockets/plain', '/sockets/inspected']) {
      const first = await open(path);
      const cookie = `Cookie: ${first.set!}`;
      for (const next of ['/sockets/plain', '/sockets/inspected', '/sockets/plain', '/sockets/inspected']) {
        expect(await open(next, [cookie])).toEqual({ instance: first.instance, set: undefined });
      }
    }
  });
});

describe('sessions through changes of the configuration', () => {
  it('outlive reloads, new secrets before the old ones, and the end of other endpoints', async () => {
    const upstreams = await Promise.all(['a', 'b', 'c'].map((name) => startUpstream(name, service)));
    const urls = upstreams.map(({ url }) => url);
    const pool = (...secrets: string[]) => ({ cookie: { sticky: { cookie: 'aya', ...(secrets[0] && { secrets }) } } });
    const gateway = await gatewayFixture({
      gateway: { threads: 2, secret: SECRET },
      files: { 'service.yaml': serviceFile(urls, pool()) },
    });
    const client = new Browser(gateway.url);
    const home = await client.get('/cookie/x');
    const change = async (endpoints: string[], ...secrets: string[]) => {
      await gateway.write('service.yaml', serviceFile(endpoints, pool(...secrets)));
      expect((await gateway.reload()).status).toBe(200);
    };
    await change(urls, 'a new secret, the first of two', SECRET);
    const before = client.jar.get('aya');
    expect(await client.visited('/cookie/x')).toEqual([home]);
    expect(client.jar.get('aya')).not.toBe(before);
    await change(urls, 'a new secret, the first of two');
    expect(await client.visited('/cookie/x')).toEqual([home]);
    const staying = upstreams.find(({ name }) => name === home)!.url;
    await change([staying], 'a new secret, the first of two');
    await change(urls, 'a new secret, the first of two');
    expect(await client.visited('/cookie/x')).toEqual([home]);
    await change(
      urls.filter((url) => url !== staying),
      'a new secret, the first of two',
    );
    expect(await client.visited('/cookie/x')).toHaveLength(1);
    const { body } = await gateway.admin('/metrics');
    expect(body).toContain('aya_sticky_requests_total{route="cookie",session="gone"} 1');
    const shown = await gateway.admin('/config');
    expect(shown.body).not.toContain(SECRET);
    expect(shown.body).not.toContain('a new secret');
  });
});
