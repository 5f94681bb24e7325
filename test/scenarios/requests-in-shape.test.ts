/** What a request may bring, by its route; and bodies that a hook reads before they go on. */
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';
import { ask, RawConnection, request } from '../support/raw-client.ts';
import { until } from '../support/until.ts';
import { echo, readAll, startUpstream, type Upstream } from '../support/upstream.ts';

let upstream: Upstream;
let breaking: Upstream;
let gateway: GatewayFixture;

const KIB = 1024;

beforeAll(async () => {
  upstream = await startUpstream('service');
  breaking = await startUpstream('breaking', (asked, answer, self) => {
    // The first of two tries breaks once it was read.
    if (self.requests % 2 === 1) void readAll(asked).then(() => asked.socket.resetAndDestroy());
    else echo(asked, answer, self);
  });
  const route = (name: string, rest: object) => ({ name, match: { path: `/${name}` }, pool: 'service', ...rest });
  const validate = { body: { schema: { type: 'object' } } };
  gateway = await gatewayFixture({
    gateway: { shed: { bodies: '256KiB' } },
    files: {
      'shape.yaml': {
        pools: {
          service: { endpoints: [upstream.url], health: { passive: false } },
          breaking: { endpoints: [breaking.url], health: { passive: false } },
        },
        routes: [
          route('open', {}),
          route('tight', { limits: { target: '64B', headers: '1KiB', fields: 10, query: 5, cookies: 3 } }),
          route('idle', { limits: { target: '1MiB' } }),
          route('read', { validate }),
          route('brief', { validate, timeout: { total: '300ms' } }),
          route('broken', { validate, pool: 'breaking' }),
        ],
      },
    },
  });
});

beforeEach(() => {
  upstream.clear();
  breaking.clear();
});

async function get(target: string, fields: readonly string[] = []) {
  const { responses } = await ask(gateway.port, request('GET', target, 'any.test', fields));
  return responses[0]!;
}

describe('a route with limits of its own', () => {
  const pairs = (count: number, separator: string) =>
    Array.from({ length: count }, (_, at) => `a${at}=1`).join(separator);

  it.each([
    [
      'a long target',
      `/tight?${'x'.repeat(58)}`,
      [],
      414,
      'The request target is longer than 64 bytes (limits.target).',
    ],
    [
      'a large head',
      '/tight',
      [`X-A: ${'x'.repeat(KIB)}`],
      431,
      'The header block is larger than 1024 bytes (limits.headers).',
    ],
    [
      'many fields',
      '/tight',
      Array.from({ length: 10 }, (_, at) => `X-${at}: 1`),
      431,
      'The request has more than 10 header fields (limits.fields).',
    ],
    [
      'many parameters',
      `/tight?${pairs(6, '&')}`,
      [],
      400,
      'The request has more than 5 query parameters (limits.query).',
    ],
    ['empty parameters', '/tight?&&&&&', [], 400, 'The request has more than 5 query parameters (limits.query).'],
    [
      'many cookies',
      '/tight',
      [`Cookie: ${pairs(4, '; ')}`],
      431,
      'The request has more than 3 cookies (limits.cookies).',
    ],
    [
      'cookies in many fields',
      '/tight',
      ['Cookie: a=1; b=2', 'cookie: c=3', 'COOKIE: d=4'],
      431,
      'The request has more than 3 cookies (limits.cookies).',
    ],
  ] as const)('refuses %s, and names the limit with its value', async (_, target, fields, status, detail) => {
    const refused = await get(target, fields);
    expect([refused.status, (JSON.parse(refused.text()) as { detail: string }).detail]).toEqual([status, detail]);
    expect(upstream.requests).toBe(0);
    expect((await get(target.replace('tight', 'open'), fields)).status).toBe(200);
  });

  it('takes what is exactly at them', async () => {
    const fields = [`Cookie: ${pairs(3, '; ')}`, ...Array.from({ length: 8 }, (_, at) => `X-${at}: 1`)];
    expect((await get(`/tight?${pairs(5, '&')}`, fields)).status).toBe(200);
    expect((await get(`/tight?${'x'.repeat(57)}`)).status).toBe(200);
  });

  it('is warned of one that the listener never lets come true', () => {
    const warnings = gateway.logs.filter(({ event }) => event === 'config_warning').map(({ msg }) => msg);
    expect(warnings).toContainEqual(
      expect.stringMatching(
        /shape\.yaml:.*limits\.target of route 'idle' does nothing: every listener refuses what is over 8192/,
      ),
    );
  });
});

describe('a route without', () => {
  it('still takes no thousands of parameters and no hundreds of cookies', async () => {
    expect((await get(`/open?${'&'.repeat(1_000)}`)).status).toBe(400);
    expect((await get(`/open?${'&'.repeat(999)}`)).status).toBe(200);
    const cookies = (count: number) => [`Cookie: ${Array.from({ length: count }, (_, at) => `c${at}=`).join(';')}`];
    expect((await get('/open', cookies(201))).status).toBe(431);
    expect((await get('/open', cookies(200))).status).toBe(200);
  });
});

describe('a body that a hook reads', () => {
  const TYPE = 'Content-Type: application/json';
  const head = (target: string, bytes: number, fields: readonly string[] = [], method = 'POST') =>
    request(method, target, 'any.test', [TYPE, `Content-Length: ${bytes}`, ...fields]);
  const json = (bytes: number) => `{"a":"${'x'.repeat(bytes - 8)}"}`;

  it('is asked for when the client waits to be asked, once', async () => {
    const connection = await RawConnection.open(gateway.port);
    connection.send(head('/read', 8, ['Expect: 100-continue']));
    await connection.wait(() => connection.read(['POST']).interim.length === 1, 'the interim answer');
    connection.send('{"a": 1}');
    await connection.wait(() => connection.read(['POST']).responses.length === 1, 'the answer');
    const { interim, responses } = connection.read(['POST']);
    expect([interim.map(({ status }) => status), responses[0]!.status]).toEqual([[100], 200]);
    expect(upstream.seen[0]!.body.toString()).toBe('{"a": 1}');
    connection.close();
  });

  it('is not asked for when its announced size already decides', async () => {
    const { interim, responses } = await ask(gateway.port, head('/read', 2 * KIB * KIB, ['Expect: 100-continue']));
    expect([interim.length, responses[0]!.status]).toEqual([0, 413]);
  });

  it('arrives whole, however it was cut on its way', async () => {
    const body = json(50 * KIB);
    const connection = await RawConnection.open(gateway.port);
    connection.send(request('POST', '/read', 'any.test', [TYPE, 'Transfer-Encoding: chunked']));
    for (let at = 0; at < body.length; at += 1_999) {
      const part = body.slice(at, at + 1_999);
      connection.send(`${part.length.toString(16)}\r\n${part}\r\n`);
    }
    connection.send('0\r\n\r\n');
    expect((await connection.answer('POST')).status).toBe(200);
    connection.send(head('/read', 8) + '{"b": 2}');
    expect((await connection.answer('POST')).status).toBe(200);
    expect(upstream.seen.map((seen) => seen.body.toString())).toEqual([body, '{"b": 2}']);
    connection.close();
  });

  it('is sent again when the first try breaks, where the method allows', async () => {
    const body = json(100 * KIB);
    const { responses } = await ask(gateway.port, head('/broken', body.length, [], 'PUT') + body);
    expect(responses[0]!.status).toBe(200);
    expect(breaking.seen.map((seen) => seen.body.toString())).toEqual([body]);
    expect(breaking.requests).toBe(2);
  });

  it('that does not come is given up at the deadline of the exchange', async () => {
    const { responses } = await ask(gateway.port, `${head('/brief', 100)}{"a":`);
    expect(responses[0]!.status).toBe(504);
    expect(upstream.requests).toBe(0);
  });

  it('whose client leaves in the middle was never there', async () => {
    const connection = await RawConnection.open(gateway.port);
    connection.send(`${head('/read', 100)}{"a":`);
    connection.reset();
    const closing = await RawConnection.open(gateway.port);
    closing.send(`${head('/read', 100)}{"a":`);
    closing.halfClose();
    await closing.wait(() => false, 'the close');
    expect((await get('/open')).status).toBe(200);
    expect(upstream.requests).toBe(1);
  });

  it('waits in no endless company: beyond shed.bodies there is 503, until others have gone', async () => {
    const large = json(100 * KIB);
    const partly = head('/read', large.length) + large.slice(0, -1);
    const waiting = await Promise.all([1, 2].map(() => RawConnection.open(gateway.port)));
    for (const connection of waiting) connection.send(partly);
    const ordinary = () =>
      ask(gateway.port, head('/read', large.length) + large).then(({ responses }) => responses[0]!);
    let refused = await ordinary();
    await until(async () => (refused = await ordinary()).status === 503, 'a refusal');
    expect(refused.field('retry-after')).toBe('1');
    expect(refused.text()).toContain('shed.bodies');
    waiting[0]!.send(large.slice(-1));
    expect((await waiting[0]!.answer('POST')).status).toBe(200);
    waiting[1]!.reset();
    await until(async () => (await ordinary()).status === 200, 'room again');
    for (let round = 0; round < 20; round++) expect((await ordinary()).status).toBe(200);
    for (const connection of waiting) connection.close();
  });
});
