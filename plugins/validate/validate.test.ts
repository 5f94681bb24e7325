import { readFileSync } from 'node:fs';
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { gatewayFixture, type GatewayFixture } from '../../test/support/gateway.ts';
import { ask, request, type RawResponse } from '../../test/support/raw-client.ts';
import { until } from '../../test/support/until.ts';
import { startUpstream, type Upstream } from '../../test/support/upstream.ts';

const ORDER = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  required: ['items'],
  additionalProperties: false,
  properties: {
    items: {
      type: 'array',
      maxItems: 1_000,
      items: {
        type: 'object',
        required: ['sku', 'qty'],
        properties: { sku: { type: 'string', pattern: '^[A-Z]{2,8}$' }, qty: { type: 'integer', minimum: 1 } },
      },
    },
    contact: { type: 'string', format: 'email' },
    secret: { type: 'string', maxLength: 8 },
    tags: { type: 'array', uniqueItems: true },
  },
};

let upstream: Upstream;
let gateway: GatewayFixture;

const route = (name: string, validate: object, rest: object = {}) => ({
  name,
  match: { path: `/${name}` },
  pool: 'service',
  validate,
  ...rest,
});

beforeAll(async () => {
  upstream = await startUpstream('service');
  const body = { schema: 'schemas/order.json' };
  gateway = await gatewayFixture({
    files: {
      '../schemas/order.json': ORDER,
      '../schemas/live.json': { type: 'object', required: ['one'] },
      'orders.yaml': {
        pools: {
          service: { endpoints: [upstream.url], health: { passive: false } },
          shaky: { endpoints: ['http://127.0.0.1:1', upstream.url], health: { passive: false } },
        },
        routes: [
          route('orders', { body }),
          route('retried', { body }, { pool: 'shaky' }),
          route('optional', { body: { ...body, required: false } }),
          route('report', { body, maxBody: '64KiB', mode: 'report', query: { required: ['id'] } }),
          route('small', { body, maxBody: '1KiB' }),
          route('bombs', { body: { schema: {} }, maxDecoded: '256KiB' }),
          route('any', { body: { schema: {} } }, { limits: { body: '2MiB' } }),
          route('types', { contentTypes: ['text/plain', 'image/*'] }),
          route('search', {
            query: {
              type: 'object',
              additionalProperties: false,
              required: ['q'],
              properties: {
                q: { type: 'string', minLength: 2 },
                limit: { type: 'integer', minimum: 1, maximum: 100 },
                ratio: { type: 'number' },
                exact: { type: 'boolean' },
                tag: { type: 'array', items: { enum: ['new', 'old'] }, maxItems: 2 },
              },
            },
            headers: { required: ['X-Tenant'], properties: { 'X-Tenant': { pattern: '^[a-z]+$' } } },
            cookies: { properties: { visits: { type: 'integer' } } },
          }),
          { ...route('plain', {}), validate: false },
        ],
      },
      'live.yaml': {
        routes: [route('live', { body: { schema: 'schemas/live.json' } })],
      },
    },
  });
});

beforeEach(() => upstream.clear());

async function send(method: string, target: string, fields: readonly string[], body: string | Buffer = '') {
  const length = body.length === 0 ? [] : [`Content-Length: ${Buffer.byteLength(body)}`];
  const head = Buffer.from(request(method, target, 'api.test', [...length, ...fields]), 'latin1');
  const { responses } = await ask(gateway.port, Buffer.concat([head, Buffer.from(body as string)]));
  return responses[0]!;
}

const post = (target: string, body: string | Buffer, fields: readonly string[] = []) =>
  send('POST', target, ['Content-Type: application/json', ...fields], body);

interface ProblemBody {
  readonly detail: string;
  readonly errors?: readonly { pointer: string; detail: string; in: string }[];
}
const problem = (response: RawResponse) => JSON.parse(response.text()) as ProblemBody;

const GOOD = '{ "items": [ {"sku":"AB", "qty": 1} ],\n "contact":"a@b.test" }';

describe('a body that fits', () => {
  it('arrives byte for byte', async () => {
    expect((await post('/orders', GOOD)).status).toBe(200);
    expect(upstream.seen[0]!.body.toString()).toBe(GOOD);
  });

  it('that came in chunks arrives with its length', async () => {
    const chunks = [GOOD.slice(0, 5), GOOD.slice(5)].map((part) => `${part.length.toString(16)}\r\n${part}\r\n`);
    const fields = ['Content-Type: application/json', 'Transfer-Encoding: chunked'];
    const bytes = `${request('POST', '/orders', 'api.test', fields)}${chunks.join('')}0\r\n\r\n`;
    expect((await ask(gateway.port, bytes)).responses[0]!.status).toBe(200);
    expect(upstream.seen[0]!.body.toString()).toBe(GOOD);
    expect(upstream.seen[0]!.fields).toContain(String(GOOD.length));
  });

  it('is sent again, whole, when the first endpoint is down', async () => {
    for (let count = 0; count < 4; count++) expect((await post('/retried', GOOD)).status).toBe(200);
    expect(upstream.seen.map(({ body }) => body.toString())).toEqual([GOOD, GOOD, GOOD, GOOD]);
  });

  it.each([
    ['gzip', gzipSync],
    ['deflate', deflateSync],
    ['br', brotliCompressSync],
    ['zstd', zstdCompressSync],
  ] as const)('is looked at through %s and arrives as it was sent', async (coding, compress) => {
    const sent = compress(GOOD);
    expect((await post('/orders', sent, [`Content-Encoding: ${coding}`])).status).toBe(200);
    expect(upstream.seen[0]!.body.equals(sent)).toBe(true);
    const wrong = await post('/orders', compress('{"items":1}'), [`Content-Encoding: ${coding}`]);
    expect(problem(wrong).errors).toEqual([{ pointer: '#/items', detail: 'must be array', in: 'body' }]);
  });

  it('may be in two codings, and in no third', async () => {
    const twice = brotliCompressSync(gzipSync(GOOD));
    expect((await post('/orders', twice, ['Content-Encoding: gzip, br'])).status).toBe(200);
    const refused = await post('/orders', gzipSync(twice), ['Content-Encoding: gzip, br, gzip']);
    expect([refused.status, refused.field('accept-encoding')]).toEqual([415, 'gzip, deflate, br, zstd']);
  });
});

describe('a body that does not fit', () => {
  it.each([
    ['{"items":[{"sku":"AB","qty":0}]}', '#/items/0/qty', 'must be >= 1'],
    ['{"items":[{"sku":"ab","qty":1}]}', '#/items/0/sku', 'must match pattern "^[A-Z]{2,8}$"'],
    ['{"items":[{"sku":"AB"}]}', '#/items/0', "must have required property 'qty'"],
    ['{"items":[],"x~/#é":1}', '#/x~0~1%23%C3%A9', 'is not known here'],
    ['{"items":[],"contact":"nobody"}', '#/contact', 'must match format "email"'],
    ['{"items":[],"tags":[{"a":1,"b":[]},{"b":[],"a":1}]}', '#/tags', 'must NOT have duplicate items'],
    ['{"items":[],"items":[]}', '#', "must not hold the key 'items' twice (validate.duplicateKeys)"],
    [`{"items":${'['.repeat(100_000)}`, '#', 'must not be nested deeper than 32 (validate.depth)'],
    ['{"__proto__":{"items":[]}}', '#', "must have required property 'items'"],
    ['nonsense', '#', 'must be well-formed JSON'],
  ])('is 400 with a pointer: %#', async (body, pointer, detail) => {
    const refused = await post('/orders', body);
    expect([refused.status, refused.field('content-type')]).toEqual([400, 'application/problem+json']);
    expect(problem(refused).errors).toEqual([{ pointer, detail, in: 'body' }]);
    expect(upstream.requests).toBe(0);
  });

  it('is refused without a word of its values', async () => {
    expect((await post('/orders', '{"items":[],"secret":"hunter2-hunter2"}')).text()).not.toContain('hunter2');
  });

  it('is missed where it must be, and nowhere else', async () => {
    expect(problem(await send('POST', '/orders', [])).errors).toEqual([
      { pointer: '#', detail: 'is missing', in: 'body' },
    ]);
    expect((await send('GET', '/orders', [])).status).toBe(200);
    expect((await send('POST', '/optional', [])).status).toBe(200);
  });

  it.each([
    'application/json garbage',
    'application/json;x',
    'text/plain',
    'application/json; charset=utf-16',
    'application/json\r\nContent-Type: text/plain',
  ])('with the Content-Type %j is 415', async (type) => {
    const refused = await send('POST', '/orders', [`Content-Type: ${type}`], GOOD);
    expect(refused.status).toBe(415);
    expect(refused.field('accept')).toMatch(/^application\/json/);
    expect((await send('POST', '/orders', [], GOOD)).status).toBe(415);
    expect(upstream.requests).toBe(0);
  });

  it.each(['\tapplication/json', 'APPLICATION/json;charset=utf-8', '  application/json ;charset="UTF-8"'])(
    'is seen behind every spelling of its type: %j',
    async (type) => {
      expect((await send('POST', '/orders', [`Content-Type: ${type}`], '{}')).status).toBe(400);
    },
  );

  it('passes by its type alone where no schema is given', async () => {
    expect((await send('POST', '/types', ['Content-Type: image/png'], 'x')).status).toBe(200);
    expect((await send('POST', '/types', ['Content-Type: application/json'], '{}')).status).toBe(415);
  });
});

describe('bombs', () => {
  it.each([
    ['gzip', gzipSync],
    ['deflate', deflateSync],
    ['br', brotliCompressSync],
    ['zstd', zstdCompressSync],
  ] as const)('of %s are cut at the limit, which is named', async (coding, compress) => {
    const refused = await post('/bombs', compress(Buffer.alloc(16 * 1024 * 1024, 0x20)), [
      `Content-Encoding: ${coding}`,
    ]);
    expect(refused.status).toBe(413);
    expect(problem(refused).detail).toMatch(/larger than \d+ bytes once decoded \(validate\.maxDecoded/);
    expect(upstream.requests).toBe(0);
  });

  it('may not be over 100 times what was sent, whatever maxDecoded says', async () => {
    const sent = gzipSync(`"${'x'.repeat(1024 * 1024)}"`);
    expect((await post('/any', sent, ['Content-Encoding: gzip'])).status).toBe(413);
  });

  it.each([
    ['cut short', gzipSync(GOOD).subarray(0, -4), 'gzip'],
    ['with something behind its end', Buffer.concat([brotliCompressSync(GOOD), Buffer.from('x')]), 'br'],
    ['that is something else', Buffer.from(GOOD), 'zstd'],
  ])('a body %s is 400', async (_, sent, coding) => {
    expect((await post('/orders', sent, [`Content-Encoding: ${coding}`])).status).toBe(400);
  });

  it('many at once are refused each, and the others are served', async () => {
    const bomb = zstdCompressSync(Buffer.alloc(16 * 1024 * 1024, 0x20));
    const all = Array.from({ length: 24 }, (_, at) =>
      at % 3 === 0
        ? post('/orders', gzipSync(GOOD), ['Content-Encoding: gzip'])
        : post('/bombs', bomb, ['Content-Encoding: zstd']),
    );
    const statuses = (await Promise.all(all)).map(({ status }) => status);
    expect(statuses.filter((status) => status === 200)).toHaveLength(8);
    expect(statuses.filter((status) => status === 413)).toHaveLength(16);
  });
});

describe('sizes', () => {
  it.each([
    ['/small', 'validate.maxBody', 1025],
    ['/orders', 'limits.body', 1024 ** 2 + 1],
  ])('of a body over the limit of %s name it: %s', async (target, name, bytes) => {
    const announced = await post(target, 'x'.repeat(bytes));
    const fields = ['Content-Type: application/json', 'Transfer-Encoding: chunked'];
    const chunk = `${bytes.toString(16)}\r\n${'x'.repeat(bytes)}\r\n`;
    const chunked = await ask(gateway.port, request('POST', target, 'api.test', fields) + chunk);
    for (const refused of [announced, chunked.responses[0]!]) {
      expect(refused.status).toBe(413);
      expect(problem(refused).detail).toBe(`The body is larger than ${bytes - 1} bytes (${name}).`);
    }
    expect(upstream.requests).toBe(0);
  });

  it('of a megabyte of items that must differ cost little', async () => {
    const items = Array.from({ length: 100_000 }, (_, at) => `{"n":${at}}`).join(',');
    const { status } = await post(
      '/orders',
      `{"items":[],"tags":[${items.slice(0, 1_000_000).replace(/,[^}]*$/, '')}]}`,
    );
    expect(status).toBe(200);
  });
});

describe('parameters', () => {
  const TENANT = 'X-Tenant: acme';
  const search = (query: string, fields = [TENANT]) => send('GET', `/search?${query}`, fields);

  it.each(['q=ab&limit=100&ratio=-1.5e3&exact=true&tag=new&tag=old', 'q=%61b&tag=new', 'q=a+b', '&&q=ab&'])(
    'that fit pass, as they were sent: %s',
    async (query) => {
      expect((await search(query)).status).toBe(200);
      expect(upstream.seen[0]!.target).toBe(`/search?${query}`);
    },
  );

  it.each([
    ['limit=1', '#', "must have required property 'q'"],
    ['q=ab&limit=0', '#/limit', 'must be >= 1'],
    ['q=ab&limit=1.0', '#/limit', 'must be integer'],
    ['q=ab&limit=0x10', '#/limit', 'must be integer'],
    ['q=ab&limit=', '#/limit', 'must be integer'],
    ['q=ab&limit=99999999999999999999', '#/limit', 'must be integer'],
    ['q=ab&ratio=1e999', '#/ratio', 'must be number'],
    ['q=ab&exact=TRUE', '#/exact', 'must be boolean'],
    ['q=ab&q=cd', '#/q', 'must appear once'],
    ['q=ab&tag=new&tag=other', '#/tag/1', 'must be equal to one of the allowed values'],
    ['q=ab&__proto__=x', '#/__proto__', 'is not known here'],
    ['q=ab&constructor=x', '#/constructor', 'is not known here'],
    ['q=%zz', '#/q', 'must be percent-encoded UTF-8'],
    ['q=ab&%ff=1', '#', 'a name must be percent-encoded UTF-8'],
  ])('that do not are 400: %s', async (query, pointer, detail) => {
    expect(problem(await search(query)).errors).toEqual([{ pointer, detail, in: 'query' }]);
    expect(upstream.requests).toBe(0);
  });

  it('of all parts are told together', async () => {
    const refused = await search('q=a', ['X-TENANT: A1', 'Cookie: visits=many; visits2=1']);
    expect(problem(refused).errors!.map((each) => [each.in, each.pointer])).toEqual([
      ['query', '#/q'],
      ['header', '#/x-tenant'],
      ['cookie', '#/visits'],
    ]);
    expect(problem(await search('q=ab', [])).errors).toMatchObject([{ in: 'header', pointer: '#' }]);
  });

  it('that the service will not see are not looked at', async () => {
    const unseen = ['X-Tenant: a', 'X-Tenant-Of: b', 'Cookie: visits=many', 'Connection: cookie'];
    expect((await search('q=ab', unseen)).status).toBe(200);
    expect((await search('q=ab', ['X-Tenant: a', 'Connection: x-tenant'])).status).toBe(400);
  });
});

describe('report mode', () => {
  it('lets everything pass as it came, and tells', async () => {
    const { body } = await gateway.admin('/metrics');
    const large = `{"items":"${'x'.repeat(300_000)}"}`;
    expect((await post('/report?id=1', '{"items":1}')).status).toBe(200);
    expect((await send('POST', '/report?id=1', ['Content-Type: text/plain'], 'text')).status).toBe(200);
    expect((await post('/report?id=1', large)).status).toBe(200);
    const chunks = large.match(/[^]{1,50000}/g)!.map((part) => `${part.length.toString(16)}\r\n${part}\r\n`);
    const fields = ['Content-Type: application/json', 'Transfer-Encoding: chunked'];
    const chunked = `${request('POST', '/report?id=1', 'api.test', fields)}${chunks.join('')}0\r\n\r\n`;
    expect((await ask(gateway.port, chunked)).responses[0]!.status).toBe(200);
    expect((await send('GET', '/report', [])).status).toBe(200);
    expect(upstream.seen.map((seen) => seen.body.toString())).toEqual(['{"items":1}', 'text', large, large, '']);
    expect(body).not.toContain('aya_validation_total{route="report",outcome="reported"} 5');
    const after = await gateway.admin('/metrics');
    expect(after.body).toContain('aya_validation_total{route="report",outcome="reported"} 5');
    expect(after.body).not.toContain('aya_validation_total{route="report",outcome="invalid"} 1');
  });
});

describe('a route without it', () => {
  it('streams whatever comes', async () => {
    expect((await send('POST', '/plain', [], '{"a":1,"a":2')).status).toBe(200);
  });
});

describe('a schema file', () => {
  const live = (body: string) => post('/live', body).then(({ status }) => status);
  const write = (schema: object | string) => gateway.write('../schemas/live.json', schema);

  it('that changes is noticed, and its new version holds', async () => {
    expect([await live('{"one":1}'), await live('{"two":1}')]).toEqual([200, 400]);
    await write({ type: 'object', required: ['two'] });
    await until(async () => (await live('{"two":1}')) === 200, 'the new schema');
    expect(await live('{"one":1}')).toBe(400);
  });

  it('that has become wrong is told with file and pointer, and its last good version serves on', async () => {
    await write({ properties: { a: { $ref: '#/$defs/none' } } });
    const reloaded = await gateway.reload();
    expect(reloaded.body).toContain("schemas/live.json#/properties/a/$ref: nothing stands at '#/$defs/none'");
    expect(await live('{"two":1}')).toBe(200);
    expect(await live('{}')).toBe(400);
    await write({ type: 'object', required: ['three'] });
    await until(async () => (await live('{"three":1}')) === 200, 'the repaired schema');
  });
});

describe('at load', () => {
  it.each([
    ['a type that is none', { properties: { qty: { type: 'int' } } }, '#/properties/qty/type: '],
    ['a keyword that is none', { properties: { qty: { minimun: 1 } } }, 'unknown keyword: "minimun"'],
    ['a pattern that cannot be run in linear time', { items: { pattern: '(?=a)b' } }, '#/items/pattern: '],
    ['a reference out of the file', { $ref: 'https://x.test/y' }, "#/$ref: 'https://x.test/y' leads out of the file"],
    [
      'a dialect that is not spoken',
      { $schema: 'http://json-schema.org/draft-04/schema#' },
      '#/$schema: expected draft-07',
    ],
    ['a file that is not there', 'schemas/none.json', "file 'schemas/none.json' does not exist"],
    ['a file outside', '../../etc/passwd', 'leads out of the configuration'],
  ])('%s is an error', async (_, schema, message) => {
    const before = readFileSync(`${gateway.dir}/routes.d/live.yaml`, 'utf8');
    await gateway.write('live.yaml', { routes: [route('live', { body: { schema } })] });
    const { body } = await gateway.reload();
    expect((JSON.parse(body) as { problems: string[] }).problems.join('\n')).toContain(message);
    expect(body).toContain('routes.d/live.yaml:');
    await gateway.write('live.yaml', before);
  });

  it('no room for anything decoded is an error', async () => {
    const before = readFileSync(`${gateway.dir}/routes.d/live.yaml`, 'utf8');
    await gateway.write('live.yaml', { routes: [route('live', { body: { schema: {} }, maxDecoded: '0B' })] });
    expect((await gateway.reload()).body).toContain('maxDecoded: would refuse every body: allow at least 1B');
    await gateway.write('live.yaml', before);
  });
});
