import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { gatewayFixture, type GatewayFixture } from '../../test/support/gateway.ts';
import { ask, request, type RawResponse } from '../../test/support/raw-client.ts';
import { startUpstream, type Upstream } from '../../test/support/upstream.ts';

/** The same API in two dialects; what differs between them is spelled in each one's own way. */
const shop = (version: '3.0.3' | '3.1.0') => {
  const isOld = version === '3.0.3';
  const nullable = (type: string) => (isOld ? { type, nullable: true } : { type: [type, 'null'] });
  const above = (bound: number) => (isOld ? { minimum: bound, exclusiveMinimum: true } : { exclusiveMinimum: bound });
  return {
    openapi: version,
    info: { title: 'Shop', version: '1' },
    paths: {
      '/orders': {
        parameters: [{ $ref: '#/components/parameters/Tenant' }],
        get: {
          parameters: [
            { name: 'limit', in: 'query', schema: { type: 'integer', format: 'int32', minimum: 1, maximum: 100 } },
            { name: 'state', in: 'query', schema: { type: 'array', items: { $ref: '#/components/schemas/State' } } },
            {
              name: 'fields',
              in: 'query',
              explode: false,
              schema: { type: 'array', items: { type: 'string' }, maxItems: 2 },
            },
            {
              name: 'price',
              in: 'query',
              style: 'deepObject',
              schema: { type: 'object', properties: { min: { type: 'number' }, max: { type: 'number' } } },
            },
            { name: 'session', in: 'cookie', schema: { type: 'string', format: 'uuid' } },
            { name: 'Authorization', in: 'header', required: true, schema: { type: 'integer' } },
          ],
          responses: { 200: { description: 'Orders.' } },
        },
        post: {
          requestBody: { $ref: '#/components/requestBodies/Order' },
          responses: { 201: { description: 'Created.' } },
        },
      },
      '/orders/{id}': {
        parameters: [{ name: 'id', in: 'path', required: true, schema: { type: 'integer', minimum: 1 } }],
        get: { responses: { 200: { description: 'One order.' } } },
        delete: { responses: { 204: { description: 'Gone.' } } },
      },
      '/orders/latest': { get: { responses: { 200: { description: 'The latest.' } } } },
      '/files/{name}.pdf': {
        put: {
          parameters: [{ name: 'name', in: 'path', required: true, schema: { type: 'string', pattern: '^[a-zé]+$' } }],
          requestBody: { content: { 'application/pdf': {}, 'application/*': { schema: { type: 'object' } } } },
          responses: { 204: { description: 'Stored.' } },
        },
      },
    },
    components: {
      parameters: {
        Tenant: {
          name: 'X-Tenant',
          in: 'header',
          required: true,
          schema: { type: 'string', enum: ['acme', 'umbrella'] },
        },
      },
      requestBodies: {
        Order: { required: true, content: { 'application/json': { schema: { $ref: '#/components/schemas/Order' } } } },
      },
      schemas: {
        State: { type: 'string', enum: ['open', 'paid'] },
        Order: {
          type: 'object',
          required: ['id', 'items'],
          properties: {
            id: { type: 'integer', readOnly: true },
            items: { type: 'array', minItems: 1, items: { $ref: '#/components/schemas/Item' } },
            note: { ...nullable('string'), maxLength: 10 },
            due: { type: 'string', format: 'date' },
            nullable: { type: 'boolean' },
            parent: { $ref: '#/components/schemas/Order' },
          },
          'x-internal': 'of the tool that wrote it',
        },
        Item: {
          type: 'object',
          required: ['sku', 'price'],
          properties: { sku: { type: 'string' }, price: { type: 'number', ...above(0) } },
          example: { sku: 'A', price: '$ref' },
        },
      },
    },
  };
};

let upstream: Upstream;
let gateway: GatewayFixture;

beforeAll(async () => {
  upstream = await startUpstream('shop');
  const route = (name: string, validate: object) => ({ name, match: { path: `/${name}/*` }, pool: 'shop', validate });
  gateway = await gatewayFixture({
    files: {
      '../api/old.json': shop('3.0.3'),
      '../api/new.yaml': shop('3.1.0'),
      'shop.yaml': {
        pools: { shop: { endpoints: [upstream.url], health: { passive: false } } },
        routes: [
          route('old', { openapi: 'api/old.json', base: '/old' }),
          route('new', { openapi: 'api/new.yaml', base: '/new' }),
          route('lax', { openapi: 'api/new.yaml', base: '/lax', unknown: 'pass' }),
          route('report', { openapi: 'api/new.yaml', base: '/report', mode: 'report' }),
        ],
      },
      'probe.yaml': { routes: [{ name: 'probe', match: { path: '/probe' }, pool: 'shop' }] },
    },
  });
});

beforeEach(() => upstream.clear());

const TENANT = 'X-Tenant: acme';

async function send(
  method: string,
  target: string,
  fields: readonly string[] = [TENANT],
  body = '',
): Promise<RawResponse> {
  const { responses } = await ask(gateway.port, request(method, target, 'shop.test', fields, body), {
    methods: [method],
  });
  return responses[0]!;
}

const errorsOf = (response: RawResponse) =>
  (JSON.parse(response.text()) as { errors: { in: string; pointer: string; detail: string }[] }).errors;

const order = (item: object, rest: object = {}) =>
  JSON.stringify({ items: [{ sku: 'A', price: 1, ...item }], ...rest });
const JSON_BODY = [TENANT, 'Content-Type: application/json'];

describe.each(['/old', '/new'])('an API described at %s', (base) => {
  it.each([
    ['GET', '/orders?limit=100&state=open&state=paid&fields=id,note&price[min]=1.5&other=1'],
    ['HEAD', '/orders'],
    ['GET', '/orders/7'],
    ['GET', '/orders/latest'],
    ['DELETE', '/orders/7'],
  ])('takes %s %s', async (method, target) => {
    const cookie = 'Cookie: session=3f2504e0-4f89-41d3-9a0c-0305e82c3301';
    expect((await send(method, base + target, [TENANT, cookie])).status).toBe(200);
    expect(upstream.seen[0]!.target).toBe(base + target);
  });

  it.each([
    ['GET', '/orders?limit=0', 'query', '#/limit'],
    ['GET', '/orders?limit=ten', 'query', '#/limit'],
    ['GET', '/orders?state=open&state=lost', 'query', '#/state/1'],
    ['GET', '/orders?fields=a,b,c', 'query', '#/fields'],
    ['GET', '/orders?price[min]=cheap', 'query', '#/price/min'],
    ['GET', '/orders?price=cheap&price[min]=1', 'query', '#/price'],
    ['GET', '/orders/zero', 'path', '#/id'],
    ['GET', '/orders/0', 'path', '#/id'],
    ['GET', '/orders/7;v=1', 'path', '#/id'],
    ['GET', '/orders/7%20', 'path', '#/id'],
  ])('refuses %s %s', async (method, target, part, pointer) => {
    const refused = await send(method, base + target);
    expect(refused.status).toBe(400);
    expect(errorsOf(refused)).toMatchObject([{ in: part, pointer }]);
    expect(upstream.requests).toBe(0);
  });

  it('wants its headers and cookies, but leaves authorization to others', async () => {
    expect(errorsOf(await send('GET', `${base}/orders`, []))).toMatchObject([
      { in: 'header', detail: "must have required property 'x-tenant'" },
    ]);
    expect(errorsOf(await send('GET', `${base}/orders`, ['X-Tenant: other']))).toMatchObject([
      { pointer: '#/x-tenant' },
    ]);
    expect(errorsOf(await send('GET', `${base}/orders`, [TENANT, 'Cookie: session=1']))).toMatchObject([
      { in: 'cookie', pointer: '#/session' },
    ]);
  });

  it.each([
    [order({})],
    [order({ price: 0.01 }, { note: null, due: '2027-01-31', nullable: true })],
    [order({}, { parent: { items: [{ sku: 'B', price: 2 }] } })],
  ])('takes the order %s, which need not hold what only answers do', async (body) => {
    expect((await send('POST', `${base}/orders`, JSON_BODY, body)).status).toBe(200);
    expect(upstream.seen[0]!.body.toString()).toBe(body);
  });

  it.each([
    [order({ price: 0 }), '#/items/0/price', 'must be > 0'],
    [order({}, { note: '12345678901' }), '#/note', 'must NOT have more than 10 characters'],
    [order({}, { due: '2027-02-30' }), '#/due', 'must match format "date"'],
    [order({}, { parent: { items: [] } }), '#/parent/items', 'must NOT have fewer than 1 items'],
    ['{}', '#', "must have required property 'items'"],
  ])('refuses the order %s', async (body, pointer, detail) => {
    expect(errorsOf(await send('POST', `${base}/orders`, JSON_BODY, body))).toEqual([{ in: 'body', pointer, detail }]);
  });

  it('wants a body where it says so, of a type that it names, and none elsewhere', async () => {
    expect(errorsOf(await send('POST', `${base}/orders`))).toMatchObject([{ in: 'body', detail: 'is missing' }]);
    expect((await send('POST', `${base}/orders`, [TENANT, 'Content-Type: text/plain'], 'x')).status).toBe(415);
    expect((await send('DELETE', `${base}/orders/7`, JSON_BODY, '{}')).status).toBe(415);
    expect((await send('PUT', `${base}/files/a.pdf`, ['Content-Type: application/pdf'], '%PDF')).status).toBe(200);
    expect((await send('PUT', `${base}/files/a.pdf`, ['Content-Type: application/json'], '[]')).status).toBe(400);
  });

  it('knows parts of segments, decoded', async () => {
    expect((await send('PUT', `${base}/files/caf%C3%A9.pdf`, [])).status).toBe(200);
    expect(errorsOf(await send('PUT', `${base}/files/CAF%C3%89.pdf`, []))).toMatchObject([
      { in: 'path', pointer: '#/name' },
    ]);
  });

  it('has no other paths and methods', async () => {
    for (const target of ['/carts', '/orders/', '/orders/7/items', '', '/files/.pdf']) {
      expect((await send('GET', base + target)).status, target).toBe(404);
    }
    const refused = await send('PUT', `${base}/orders/7`);
    expect([refused.status, refused.field('allow')]).toEqual([405, 'GET, DELETE, HEAD']);
    expect(upstream.requests).toBe(0);
  });
});

describe('what the document does not have', () => {
  it('passes where the route says so', async () => {
    expect((await send('GET', '/lax/carts')).status).toBe(200);
    expect((await send('PATCH', '/lax/orders')).status).toBe(200);
    expect((await send('GET', '/lax/orders?limit=0')).status).toBe(400);
  });

  it('passes in report mode, and is counted', async () => {
    expect((await send('GET', '/report/carts')).status).toBe(200);
    expect((await send('POST', '/report/orders', JSON_BODY, '{"items":')).status).toBe(200);
    expect(upstream.seen.map(({ body }) => body.toString())).toEqual(['', '{"items":']);
    const { body } = await gateway.admin('/metrics');
    expect(body).toContain('aya_validation_total{route="report",outcome="reported"} 2');
  });
});

describe('a document', () => {
  const problems = async (document: object | string, name = 'broken.json') => {
    await gateway.write(`../api/${name}`, document);
    await gateway.write('probe.yaml', {
      routes: [{ name: 'probe', match: { path: '/probe' }, pool: 'shop', validate: { openapi: `api/${name}` } }],
    });
    const { body } = await gateway.reload();
    return (JSON.parse(body) as { problems: string[] }).problems.join('\n');
  };
  const withOrders = (operations: object) => ({ openapi: '3.1.0', paths: { '/orders': operations } });

  it.each([
    [{ swagger: '2.0', paths: {} }, 'api/broken.json#/openapi: expected a document of OpenAPI 3.0 or 3.1'],
    [{ openapi: '3.1.0' }, '#/paths: expected paths'],
    [{ openapi: '3.1.0', paths: { '/{a}{b}': { get: {} } } }, '#/paths/~1{a}{b}: segment'],
    [
      withOrders({ get: { parameters: [{ name: 'q', in: 'query', schema: { type: 'strin' } }] } }),
      '#/paths/~1orders/get/parameters/0/schema/type: ',
    ],
    [
      withOrders({ get: { parameters: [{ name: 'q', in: 'query', schema: { pattern: '(?<=a)b' } }] } }),
      '#/paths/~1orders/get/parameters/0/schema/pattern: ',
    ],
    [
      withOrders({
        post: { requestBody: { content: { 'application/json': { schema: { $ref: '#/components/none' } } } } },
      }),
      "/schema/$ref: nothing stands at '#/components/none'",
    ],
    [
      withOrders({ get: { parameters: [{ $ref: 'common.yaml#/Tenant' }] } }),
      "'common.yaml#/Tenant' leads out of the file",
    ],
    [withOrders({ get: { parameters: [{ name: 'q', in: 'query', style: 'matrix', schema: {} }] } }), "style 'matrix'"],
    ['{"openapi": ', 'api/broken.json: not valid JSON'],
  ])('that is wrong is told with its file and the place: %#', async (document, message) => {
    expect(await problems(document)).toContain(message);
  });

  it('of YAML that cannot be read is told with its line', async () => {
    expect(await problems('openapi: 3.1.0\npaths: {\n', 'broken.yaml')).toMatch(
      /api\/broken\.yaml:\d+:\d+: not valid YAML/,
    );
  });

  it('and options that say the same twice are refused', async () => {
    await gateway.write('probe.yaml', {
      routes: [
        { name: 'probe', match: { path: '/probe' }, pool: 'shop', validate: { openapi: 'api/new.yaml', query: {} } },
      ],
    });
    expect((await gateway.reload()).body).toContain('validate.query: openapi says it already');
  });
});
