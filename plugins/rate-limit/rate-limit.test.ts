/** Limits through the real gateway, on two threads: each request on a connection of its own, so that both have their part. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { gatewayFixture, type GatewayFixture } from '../../test/support/gateway.ts';
import { until } from '../../test/support/until.ts';
import { byPath, hang, startUpstream, type Upstream } from '../../test/support/upstream.ts';

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

interface Answer {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly body: string;
}

interface Asking {
  readonly answer: Promise<Answer>;
  leave(): void;
}

let gateway: GatewayFixture;
let upstream: Upstream;

function asking(path: string, headers: Record<string, string> = {}, on = gateway): Asking {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const sent = request({ port: on.port, host: '127.0.0.1', agent: false, path, headers }, (response) => {
    let body = '';
    response.setEncoding('utf8');
    response.on('data', (text: string) => (body += text));
    response.on('end', () => resolve({ status: response.statusCode!, headers: response.headers, body }));
  });
  sent.on('error', reject).end();
  return { answer: promise, leave: () => void sent.socket?.resetAndDestroy() };
}

const ask = (path: string, headers: Record<string, string> = {}, on = gateway) => asking(path, headers, on).answer;

const from = (address: string) => ({ 'x-forwarded-for': address });

/** How many of so many requests, all at once, were let pass. */
async function passed(times: number, path: string, headers: Record<string, string> = {}, on = gateway) {
  const answers = await Promise.all(Array.from({ length: times }, () => ask(path, headers, on)));
  for (const { status } of answers) expect([200, 429]).toContain(status);
  return answers.filter(({ status }) => status === 200).length;
}

const HOURLY = { max: 5, per: '1h' };

/** The limited routes, each with its path. */
const ROUTES = {
  plain: { rateLimit: { ...HOURLY, max: 20, by: 'ip' } },
  sliding: { rateLimit: { ...HOURLY, algorithm: 'sliding-window', max: 20, by: 'ip' } },
  burst: { rateLimit: { max: 20, per: '1h', burst: 3, by: 'ip' } },
  address: { rateLimit: { ...HOURLY, max: 2, by: 'ip' } },
  header: { rateLimit: { ...HOURLY, max: 2, by: 'header:X-Tenant' } },
  whole: { rateLimit: { ...HOURLY, max: 2, by: 'route' } },
  expression: { rateLimit: { ...HOURLY, max: 2, by: { cel: 'request.query["tenant"]' } } },
  several: {
    rateLimit: [
      { name: 'per-tenant', max: 2, per: '1h', by: 'header:x-tenant' },
      { name: 'in-all', max: 3, per: '1h', by: 'route' },
    ],
  },
  'shared-a': { rateLimit: 'partner-plan' },
  'shared-b': { rateLimit: { use: 'partner-plan' } },
  cost: { rateLimit: { max: 10, per: '1h', by: 'ip', cost: { header: 'x-cost', max: 8 } } },
  quota: { rateLimit: { quota: { max: 3, per: 'month', timeZone: 'Europe/Berlin' }, by: 'ip' } },
  shadow: { rateLimit: { ...HOURLY, shadow: true, by: 'ip' } },
  exempt: { rateLimit: { ...HOURLY, max: 1, by: 'ip', allow: ['192.0.2.0/24', 'mobile'] }, auth: optionalAuth() },
  both: { rateLimit: { ...HOURLY, by: 'ip', headers: 'both' } },
  silent: { rateLimit: { ...HOURLY, by: 'ip', headers: 'none' } },
  consumer: { rateLimit: { ...HOURLY, max: 2 }, auth: optionalAuth() },
  hang: { rateLimit: { concurrency: 3, by: 'ip' } },
  known: { auth: { apiKey: {} } },
  'known-too': { auth: { apiKey: {} } },
  off: { auth: { apiKey: {} }, rateLimit: false },
};

function optionalAuth() {
  return { apiKey: {}, optional: true };
}

const routesFile = (routes: Readonly<Record<string, object>>, url: string) => ({
  pools: { a: { endpoints: [url] } },
  routes: Object.entries(routes).map(([name, settings]) => ({
    name,
    match: { path: `/${name}` },
    pool: 'a',
    ...settings,
  })),
});

const GATEWAY = {
  threads: 2,
  trustedProxies: ['127.0.0.0/8'],
  rateLimits: { 'partner-plan': { max: 4, per: '1h', by: 'ip' } },
  groups: { partners: { rateLimit: { max: 4, per: '1h', name: 'partners' } } },
  consumers: [
    { name: 'mobile', apiKeys: [{ sha256: sha256('mobile-key') }] },
    { name: 'small', apiKeys: [{ sha256: sha256('small-key') }], rateLimit: { max: 3, per: '1h', name: 'small-plan' } },
    { name: 'one', groups: ['partners'], apiKeys: [{ sha256: sha256('one-key') }] },
    { name: 'two', groups: ['partners'], apiKeys: [{ sha256: sha256('two-key') }] },
  ],
};

beforeAll(async () => {
  upstream = await startUpstream('a', byPath({ hang }));
  gateway = await gatewayFixture({ gateway: GATEWAY, files: { 'a.yaml': routesFile(ROUTES, upstream.url) } });
});

describe('a rate', () => {
  it.each(['plain', 'sliding'])('lets pass exactly as many as it says, over all threads (%s)', async (path) => {
    expect(await passed(60, `/${path}`)).toBe(20);
  });

  it('lets only its burst pass at once', async () => {
    expect(await passed(10, '/burst')).toBe(3);
  });

  it('says which limit refused, and when to come again', async () => {
    await passed(3, '/address', from('198.51.100.1'));
    const { status, headers, body } = await ask('/address', from('198.51.100.1'));
    expect(status).toBe(429);
    expect(headers['content-type']).toBe('application/problem+json');
    const problem = JSON.parse(body) as { detail: string; status: number };
    expect(problem.status).toBe(429);
    expect(problem.detail).toContain(`limit 'default' (2 per 3600 s)`);
    const seconds = Number(headers['retry-after']);
    expect(seconds).toBeGreaterThan(1790);
    expect(seconds).toBeLessThanOrEqual(1800);
  });

  it('tells with each answer how the caller stands', async () => {
    const first = await ask('/both', from('198.51.100.9'));
    expect(first.headers['ratelimit-policy']).toBe('"default";q=5;w=3600');
    expect(first.headers.ratelimit).toBe('"default";r=4;t=720');
    expect(first.headers).toMatchObject({
      'x-ratelimit-limit': '5',
      'x-ratelimit-remaining': '4',
      'x-ratelimit-reset': '720',
    });
    await passed(4, '/both', from('198.51.100.9'));
    const refused = await ask('/both', from('198.51.100.9'));
    expect(refused.status).toBe(429);
    expect(refused.headers.ratelimit).toMatch(/^"default";r=0;t=\d+$/);
    expect(refused.headers['x-ratelimit-remaining']).toBe('0');
  });

  it('tells nothing where it is told to be silent', async () => {
    const { headers } = await ask('/silent');
    expect(Object.keys(headers).filter((name) => name.includes('ratelimit'))).toEqual([]);
  });

  it('spares whom it is told to spare, by network and by consumer', async () => {
    expect(await passed(5, '/exempt', from('192.0.2.77'))).toBe(5);
    expect(await passed(5, '/exempt', { ...from('203.0.113.9'), 'x-api-key': 'mobile-key' })).toBe(5);
    expect(await passed(5, '/exempt', from('203.0.113.9'))).toBe(1);
  });

  it('charges what the request says that it costs, at least one and at most its maximum', async () => {
    const cost = async (said: string, address: string) => {
      const { headers } = await ask('/cost', { 'x-cost': said, ...from(address) });
      return 10 - Number(/r=(\d+)/.exec(String(headers.ratelimit))![1]);
    };
    expect(await cost('3', '198.51.100.31')).toBe(3);
    expect(await cost('0', '198.51.100.32')).toBe(1);
    expect(await cost('-5', '198.51.100.33')).toBe(8);
    expect(await cost('9999999', '198.51.100.34')).toBe(8);
  });
});

describe('who is counted together', () => {
  it('is an address, however it is written', async () => {
    expect(await passed(4, '/address', from('203.0.113.7'))).toBe(2);
    expect((await ask('/address', from('::ffff:203.0.113.7'))).status).toBe(429);
    expect((await ask('/address', from('203.0.113.8'))).status).toBe(200);
  });

  it('is a network of 64 bits in IPv6', async () => {
    expect(await passed(2, '/address', from('2001:db8:0:7::1'))).toBe(2);
    expect((await ask('/address', from('2001:db8:0:7:ffff::2'))).status).toBe(429);
    expect((await ask('/address', from('2001:DB8::7:0:0:0:3'))).status).toBe(429);
    expect((await ask('/address', from('2001:db8:0:8::1'))).status).toBe(200);
  });

  it('is a field of the request, or without it the address', async () => {
    expect(await passed(3, '/header', { 'x-tenant': 'acme', ...from('203.0.113.20') })).toBe(2);
    expect((await ask('/header', { 'x-tenant': 'other', ...from('203.0.113.20') })).status).toBe(200);
    expect(await passed(3, '/header', from('203.0.113.20'))).toBe(2);
    expect((await ask('/header', { 'x-tenant': '', ...from('203.0.113.20') })).status).toBe(429);
  });

  it('is what an expression says, or where it says nothing the address', async () => {
    expect(await passed(3, '/expression?tenant=acme')).toBe(2);
    expect((await ask('/expression?tenant=other')).status).toBe(200);
    expect(await passed(3, '/expression', from('203.0.113.21'))).toBe(2);
  });

  it('is everybody on the route', async () => {
    const answers = await Promise.all(['1', '2', '3', '4'].map((last) => ask('/whole', from(`203.0.113.${last}`))));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(2);
  });

  it('is a consumer wherever it comes from, and who is none by the address', async () => {
    const key = { 'x-api-key': 'mobile-key' };
    expect((await ask('/consumer', { ...key, ...from('203.0.113.40') })).status).toBe(200);
    expect((await ask('/consumer', { ...key, ...from('203.0.113.41') })).status).toBe(200);
    expect((await ask('/consumer', { ...key, ...from('203.0.113.42') })).status).toBe(429);
    expect(await passed(3, '/consumer', from('203.0.113.40'))).toBe(2);
  });
});

describe('several limits', () => {
  it('must all allow, and when one refuses none is charged', async () => {
    const acme = { 'x-tenant': 'acme' };
    expect(await passed(2, '/several', acme)).toBe(2);
    const refused = await ask('/several', acme);
    expect(refused.status).toBe(429);
    expect(refused.body).toContain('per-tenant');
    const third = await ask('/several', { 'x-tenant': 'third' });
    expect(third.headers['ratelimit-policy']).toBe('"per-tenant";q=2;w=3600, "in-all";q=3;w=3600');
    expect(third.headers.ratelimit).toMatch(/^"per-tenant";r=1;t=\d+, "in-all";r=0;t=\d+$/);
    const fourth = await ask('/several', { 'x-tenant': 'third' });
    expect(fourth.body).toContain('in-all');
    expect(fourth.headers.ratelimit).toMatch(/^"per-tenant";r=0;/);
    expect((await ask('/several', { 'x-tenant': 'third' })).body).toContain('in-all');
  });

  it('are one limit where routes share its name', async () => {
    const caller = from('203.0.113.50');
    expect((await passed(3, '/shared-a', caller)) + (await passed(3, '/shared-b', caller))).toBe(4);
  });
});

describe('a consumer with a limit of its own', () => {
  it('has it on every route that knows it', async () => {
    const key = { 'x-api-key': 'small-key' };
    expect((await passed(2, '/known', key)) + (await passed(3, '/known-too', key))).toBe(3);
    expect((await ask('/known', key)).body).toContain('small-plan');
    expect(await passed(5, '/known', { 'x-api-key': 'mobile-key' })).toBe(5);
  });

  it('has none on a route that is told to have none', async () => {
    expect(await passed(6, '/off', { 'x-api-key': 'small-key' })).toBe(6);
  });

  it('shares that of its group with the other members', async () => {
    expect(
      (await passed(3, '/known', { 'x-api-key': 'one-key' })) + (await passed(3, '/known', { 'x-api-key': 'two-key' })),
    ).toBe(4);
  });
});

describe('a quota', () => {
  it('lasts until its period is over', async () => {
    const caller = from('203.0.113.60');
    expect(await passed(5, '/quota', caller)).toBe(3);
    const { headers, body } = await ask('/quota', caller);
    expect(body).toContain('3 per month');
    expect(headers['ratelimit-policy']).toBe('"default";q=3;w=2678400');
  });
});

describe('a limit in shadow', () => {
  it('refuses nobody, and learns what a limit would have to be', async () => {
    expect(await passed(9, '/shadow', from('203.0.113.70'))).toBe(9);
    expect(await passed(2, '/shadow', from('203.0.113.71'))).toBe(2);
    const { headers } = await ask('/shadow', from('203.0.113.71'));
    expect(headers).not.toHaveProperty('ratelimit');
    const { limits } = JSON.parse((await gateway.admin('/limits')).body) as { limits: { name: string }[] };
    expect(limits.find(({ name }) => name === 'route:shadow:default')).toMatchObject({
      max: 5,
      windowSeconds: 3600,
      shadow: true,
      seen: { windows: 2, most: 9, recommended: 9 },
    });
    const metrics = (await gateway.admin('/metrics')).body;
    expect(metrics).toContain('aya_rate_limit_decisions_total{route="shadow",decision="shadow"} 4');
    expect(metrics).toContain('aya_rate_limit_decisions_total{route="shadow",decision="allowed"} 8');
    expect(metrics).toContain('aya_rate_limit_recommended{limit="route:shadow:default"} 9');
  });
});

describe('requests in flight', () => {
  it('are as many as the limit says, over all threads, and each that ends makes room', async () => {
    const caller = from('203.0.113.80');
    upstream.clear();
    const held = Array.from({ length: 6 }, () => asking('/hang', caller));
    for (const { answer } of held) answer.catch(() => {});
    const outcomes: number[] = [];
    for (const { answer } of held)
      void answer.then(
        ({ status }) => outcomes.push(status),
        () => {},
      );
    await until(() => outcomes.length === 3 && upstream.requests === 3, 'three pass and three are refused');
    expect(outcomes).toEqual([429, 429, 429]);
    expect((await ask('/hang', caller)).headers['retry-after']).toBe('1');
    for (const one of held) one.leave();
    await until(() => upstream.aborted === 3, 'the gateway gives up what nobody waits for');
    const again = Array.from({ length: 3 }, () => asking('/hang', caller));
    for (const { answer } of again) answer.catch(() => {});
    await until(() => upstream.requests === 6, 'three more pass');
    for (const one of again) one.leave();
  });
});

describe('a reload', () => {
  it('keeps what was counted, and applies what has changed at once', async () => {
    const limits = (max: number, algorithm: string) =>
      routesFile({ r: { rateLimit: { max, per: '1h', by: 'ip', algorithm } } }, upstream.url);
    const own = await gatewayFixture({ gateway: { threads: 2 }, files: { 'a.yaml': limits(3, 'sliding-window') } });
    expect(await passed(2, '/r', {}, own)).toBe(2);
    await own.write(
      'b.yaml',
      routesFile({ other: {} }, upstream.url).routes.length === 1
        ? { routes: [{ name: 'other', match: { path: '/other' }, pool: 'a' }] }
        : {},
    );
    expect((await own.reload()).status).toBe(200);
    expect(await passed(3, '/r', {}, own)).toBe(1);
    await own.write('a.yaml', limits(5, 'sliding-window'));
    expect((await own.reload()).status).toBe(200);
    expect(await passed(4, '/r', {}, own)).toBe(2);
    await own.write('a.yaml', limits(2, 'sliding-window'));
    expect((await own.reload()).status).toBe(200);
    expect(await passed(2, '/r', {}, own)).toBe(0);
  });
});

describe('the access log', () => {
  it('says of a refused request which limit it was', async () => {
    const own = await gatewayFixture({
      gateway: { accessLog: { enabled: true, file: 'access.log' } },
      files: { 'a.yaml': routesFile({ r: { rateLimit: { name: 'tiny', max: 1, per: '1h' } } }, upstream.url) },
    });
    // Nobody is trusted here to say whom he speaks for: what these claim changes nothing.
    expect((await ask('/r', from('192.0.2.1'), own)).status).toBe(200);
    expect((await ask('/r', from('192.0.2.2'), own)).status).toBe(429);
    const log = join(own.dir, 'access.log');
    const line = await until(async () => {
      const lines = (await readFile(log, 'utf8').catch(() => '')).split('\n');
      return lines.find((text) => text.includes('"status":429'));
    }, 'the refusal is logged');
    expect(JSON.parse(line)).toMatchObject({
      error: 'http_request_denied',
      reason: `rate limit 'tiny' (1 per 3600 s) is used up`,
    });
  });
});

describe('a thread that dies', () => {
  it('gives back the places in flight that it had', async () => {
    const own = await gatewayFixture({
      gateway: { threads: 1 },
      crashes: true,
      files: { 'a.yaml': routesFile({ hang: { rateLimit: { concurrency: 2, by: 'route' } } }, upstream.url) },
    });
    upstream.clear();
    const held = [asking('/hang', {}, own), asking('/hang', {}, own)];
    for (const { answer } of held) answer.catch(() => {});
    await until(() => upstream.requests === 2, 'both pass');
    expect((await ask('/hang', {}, own)).status).toBe(429);
    await own.threads[0]!.terminate();
    await until(() => own.logs.some(({ event }) => event === 'thread_restarted'), 'the thread is back');
    const again = [asking('/hang', {}, own), asking('/hang', {}, own)];
    for (const { answer } of again) answer.catch(() => {});
    await until(() => upstream.requests === 4, 'two more pass');
    expect((await ask('/hang', {}, own)).status).toBe(429);
    for (const one of again) one.leave();
  });
});

describe('the loader', () => {
  const told = async (rateLimit: unknown, gateway: object = {}) => {
    const files = { 'a.yaml': routesFile({ r: { rateLimit } }, 'http://127.0.0.1:1') };
    try {
      const { logs } = await gatewayFixture({ gateway, files });
      return logs.map(({ msg }) => msg).join('\n');
    } catch (error) {
      const { problems = [] } = error as { problems?: { message: string; hint?: string }[] };
      return problems.map(({ message, hint = '' }) => `${message} ${hint}`).join('\n');
    }
  };

  it.each([
    ['a limit of none', { max: 0, per: '1m' }, 'would refuse every request'],
    ['a burst over the limit', { max: 5, per: '1m', burst: 6 }, 'burst: 6 is over max 5'],
    [
      'a burst of another algorithm',
      { max: 5, per: '1m', burst: 2, algorithm: 'sliding-window' },
      'is of algorithm gcra',
    ],
    ['a rate without a window', { max: 5 }, 'needs per'],
    ['a limit of nothing', { by: 'ip' }, 'limits nothing'],
    ['a window that is too short', { max: 5, per: '1ms' }, 'is shorter than 100ms'],
    ['a window that is too long', { max: 5, per: '9999h' }, 'use quota'],
    ['no places', { concurrency: 0 }, 'would refuse every request'],
    ['a name that nobody knows', 'gold', `no limit is named 'gold'`],
    [
      'one name twice',
      [
        { name: 'x', max: 1, per: '1m' },
        { name: 'x', max: 1, per: '1h' },
      ],
      'is here twice',
    ],
    ['a cost that is never there', { max: 5, per: '1m', cost: 6 }, 'could never pass'],
    ['a time zone that is none', { quota: { max: 5, per: 'day', timeZone: 'Mars/Base' } }, 'no time zone is named'],
    ['an expression that is none', { max: 5, per: '1m', by: { cel: 'request.' } }, 'rateLimit.by.cel'],
    ['a network that is none', { max: 5, per: '1m', allow: ['10.0.0.0/99'] }, 'is not a network'],
  ])('refuses %s, and says what to do', async (_, rateLimit, message) => {
    expect(await told(rateLimit)).toContain(message);
  });

  it('warns of a quota that a restart forgets, and of a name that nobody uses', async () => {
    const limits = { rateLimits: { idle: { max: 1, per: '1m' } } };
    const said = await told({ quota: { max: 5, per: 'day' } }, limits);
    expect(said).toContain('a restart forgets how much of the quota is used');
    expect(said).toContain('this limit is used by nobody');
  });
});
