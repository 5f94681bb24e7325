/** Deadlines of callers: whose are believed, what upstreams are told of them, and that nothing outlasts them. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';
import { timed, until } from '../support/until.ts';
import { byPath, hang, slow, startUpstream, status, type Upstream } from '../support/upstream.ts';

const FIELD = 'x-request-deadline';
const KEY = 'the-key-of-mobile-0001';
/** From where requests come whose sender is believed, and where not. */
const PROXY = '127.0.0.2';
const STRANGER = '127.0.0.1';

let upstream: Upstream;
let gateway: GatewayFixture;

beforeAll(async () => {
  upstream = await startUpstream('one', byPath({ hang, busy: status(503), slow: slow(400) }));
  const route = (name: string, rest: object = {}) => ({
    name,
    match: { path: `/${name}/*` },
    pool: 'one',
    deadline: true,
    ...rest,
  });
  const sha256 = createHash('sha256').update(KEY).digest('hex');
  gateway = await gatewayFixture({
    gateway: {
      trustedProxies: [PROXY],
      accessLog: { file: 'access.log' },
      consumers: [{ name: 'mobile', apiKeys: [{ sha256 }] }],
    },
    files: {
      'one.yaml': {
        pools: {
          one: { endpoints: [upstream.url], health: { passive: false } },
          judged: { endpoints: [upstream.url], health: { passive: { consecutiveFailures: 3, maxEjected: '100%' } } },
        },
        routes: [
          route('plain', { timeout: { head: '8s' } }),
          route('short', { timeout: { head: '8s', total: '2s' } }),
          route('tries', { timeout: { head: '8s', perTry: '1s' } }),
          route('busy', { retry: { attempts: 5, on: [503], budget: '100%', backoff: { base: '200ms', max: '5s' } } }),
          route('absolute', { deadline: { send: 'absolute' } }),
          route('silent', { deadline: { send: 'none' } }),
          route('everyone', { deadline: { trust: ['everyone'] } }),
          route('known', { deadline: { trust: ['consumers'] }, auth: { apiKey: {}, optional: true } }),
          route('cached', { cache: { ttl: '1m' } }),
          route('off', { deadline: false }),
          route('judged', { pool: 'judged' }),
        ],
      },
    },
  });
});

beforeEach(() => upstream.clear());

interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

function send(path: string, headers: Record<string, string | string[]> = {}, localAddress = PROXY): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const { port } = gateway;
    const asked = httpRequest({ host: '127.0.0.1', port, path, headers, localAddress, agent: false }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('end', () =>
        resolve({ status: answer.statusCode!, headers: answer.headers, body: Buffer.concat(chunks).toString() }),
      );
      answer.on('error', reject);
    });
    asked.on('error', reject).end();
  });
}

/** All that the service was told under that name. */
function told(): string[] {
  const { fields } = upstream.seen.at(-1)!;
  return fields.filter((_, at) => at % 2 === 1 && fields[at - 1]!.toLowerCase() === FIELD);
}

const leftOf = (text: string | undefined) => Number(/^(\d+)ms$/.exec(text ?? '')?.[1]);

function expectJustBelow(leftMs: number, wholeMs: number): void {
  expect(leftMs).toBeLessThanOrEqual(wholeMs);
  expect(leftMs).toBeGreaterThan(wholeMs - 1_000);
}

describe('a service is told', () => {
  it.each([
    ['what is left of the caller’s time', '/plain/x', '5000ms', 5_000],
    ['the same of one in seconds', '/plain/x', '4.5s', 4_500],
    ['no more than the route allows', '/short/x', '5000ms', 2_000],
    ['no more than one try may take', '/tries/x', '5000ms', 1_000],
  ])('%s', async (_, path, given, wholeMs) => {
    expect((await send(path, { [FIELD]: given })).status).toBe(200);
    expect(told()).toHaveLength(1);
    expectJustBelow(leftOf(told()[0]), wholeMs);
  });

  it('what is left until a moment', async () => {
    await send('/plain/x', { [FIELD]: String(Date.now() + 5_000) });
    expectJustBelow(leftOf(told()[0]), 5_000);
  });

  it('the moment, where the route says so', async () => {
    const before = Date.now();
    await send('/absolute/x', { [FIELD]: '5s' });
    expectJustBelow(Number(told()[0]) - before, 5_050);
  });

  it('how long the route waits, when the caller says nothing', async () => {
    await send('/plain/x');
    expectJustBelow(leftOf(told()[0]), 8_000);
  });

  it('nothing, where the route says so', async () => {
    await send('/silent/x', { [FIELD]: '5s' });
    expect(told()).toEqual([]);
  });

  it('nothing of one client’s deadline when the answer is for many', async () => {
    await send('/cached/x', { [FIELD]: '5s' });
    expect(told()).toEqual([]);
  });

  it('what the client said, on a route that takes no part in it', async () => {
    await send('/off/x', { [FIELD]: 'tomorrow' });
    expect(told()).toEqual(['tomorrow']);
  });
});

describe('a caller is believed', () => {
  it('when it is a trusted proxy; of any other the field is removed, however often it came', async () => {
    const answer = await send('/plain/x', { 'X-Request-Deadline': ['1ms', '2ms'] }, STRANGER);
    expect(answer.status).toBe(200);
    expect(told()).toHaveLength(1);
    expectJustBelow(leftOf(told()[0]), 8_000);
  });

  it('when it is a consumer, where the route says so', async () => {
    const key = { 'x-api-key': KEY };
    await send('/known/x', { [FIELD]: '3s', ...key }, STRANGER);
    expectJustBelow(leftOf(told()[0]), 3_000);
    await send('/known/x', { [FIELD]: '3s' }, STRANGER);
    expectJustBelow(leftOf(told()[0]), 15_000);
    await send('/known/x', { [FIELD]: '3s' }, PROXY);
    expectJustBelow(leftOf(told()[0]), 15_000);
  });

  it('when everyone is', async () => {
    await send('/everyone/x', { [FIELD]: '3s' }, STRANGER);
    expectJustBelow(leftOf(told()[0]), 3_000);
  });
});

describe('what comes too late', () => {
  it.each(['0ms', '0s', '1000000000000'])('is answered with 504, and nobody is asked: %s', async (given) => {
    const answer = await send('/plain/x', { [FIELD]: given });
    expect(answer.status).toBe(504);
    expect(answer.headers['proxy-status']).toMatch(/error=http_response_timeout/);
    expect(JSON.parse(answer.body)).toMatchObject({ status: 504, detail: expect.stringContaining(FIELD) as string });
    expect(upstream.requests).toBe(0);
  });

  it.each(['', 'soon', '-5ms', '1763737200', '5', '5m', '1e3ms', '99999999999999', '5ms, 6ms', '0x10ms'])(
    'is not what cannot be read: %j is answered with 400',
    async (given) => {
      const answer = await send('/plain/x', { [FIELD]: given });
      expect(answer.status).toBe(400);
      expect(JSON.parse(answer.body)).toMatchObject({ detail: expect.stringContaining('250ms') as string });
      expect(upstream.requests).toBe(0);
    },
  );
});

describe('nothing outlasts a deadline', () => {
  it('not a service that hangs: it is left, and that is logged', async () => {
    const { value, ms } = await timed(() => send('/plain/hang', { [FIELD]: '200ms' }));
    expect(value.status).toBe(504);
    expect(ms).toBeLessThan(4_000);
    await until(() => upstream.aborted === 1, 'it is left');
    const line = await until(async () => {
      const text = await readFile(join(gateway.dir, 'access.log'), 'utf8');
      const lines = text.split('\n').filter((each) => each.includes('/plain/hang'));
      return lines.map((each) => JSON.parse(each) as Record<string, unknown>)[0];
    }, 'its line');
    expect(line).toMatchObject({ status: 504, deadlineMs: 200, attempts: 1, error: 'http_response_timeout' });
  });

  it('not retries and what they wait: the answer is the last one that there was', async () => {
    const { value, ms } = await timed(() => send('/busy/busy', { [FIELD]: '600ms' }));
    expect([503, 504]).toContain(value.status);
    expect(ms).toBeLessThan(4_000);
    expect(upstream.requests).toBeLessThan(6);
  });

  it('each retry is told the less that is left', async () => {
    await send('/busy/busy', { [FIELD]: '3s' });
    const left = upstream.seen.map(({ fields }) => leftOf(fields[fields.indexOf(FIELD) + 1]));
    expect(left.length).toBeGreaterThan(1);
    expect(left).toEqual(left.toSorted((a, b) => b - a));
    expect(new Set(left).size).toBe(left.length);
  });

  it('and a service is not blamed for callers without patience', async () => {
    for (let at = 0; at < 10; at++) expect((await send('/judged/slow', { [FIELD]: '20ms' })).status).toBe(504);
    expect((await send('/judged/x')).status).toBe(200);
    const { body } = await gateway.admin('/pools');
    expect(body).not.toContain('"ejected"');
  });
});
