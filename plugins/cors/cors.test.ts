import { beforeAll, describe, expect, it } from 'vitest';
import { gatewayFixture, type GatewayFixture } from '../../test/support/gateway.ts';
import { valuesOf } from '../../test/support/http1.ts';
import { ask, RawConnection, request, type RawResponse } from '../../test/support/raw-client.ts';
import { byPath, echo, startUpstream, type Answer, type Upstream } from '../../test/support/upstream.ts';
import { checkCors } from './check.ts';
import type { CorsConfig } from './schema.ts';

const APP = 'https://app.test';
const EVIL = 'https://evil.test';

let gateway: GatewayFixture;
let upstream: Upstream;

/** A service with a policy of its own. */
const opinionated: Answer = (incoming, response, service) => {
  response.setHeader('Access-Control-Allow-Origin', '*');
  response.setHeader('access-control-allow-credentials', 'true');
  response.setHeader('ACCESS-CONTROL-MAX-AGE', '999');
  response.setHeader('Vary', 'Accept-Encoding');
  echo(incoming, response, service);
};
const varied: Answer = (incoming, response, service) => {
  response.setHeader('Vary', ['Accept', 'origin, Accept-Language']);
  echo(incoming, response, service);
};

const full = {
  allowOrigins: [APP, 'https://*.app.test', 'null'],
  allowMethods: ['GET', 'PUT'],
  allowHeaders: ['X-One', 'X-Two'],
  exposeHeaders: ['X-Total'],
  allowCredentials: true,
  maxAge: '1h',
};
const simple = { allowOrigins: [APP] };

const files = () => ({
  pools: { a: { endpoints: [upstream.url] }, none: { endpoints: [] } },
  routes: [
    { name: 'full', match: { path: '/full/*' }, pool: 'a', cors: full },
    { name: 'simple', match: { path: '/simple/*' }, pool: 'a', cors: simple as object | false },
    { name: 'open', match: { path: '/open/*' }, pool: 'a', cors: { allowOrigins: ['*'], exposeHeaders: ['*'] } },
    {
      name: 'asked',
      match: { path: '/asked/*' },
      pool: 'a',
      cors: { allowOrigins: ['https://*'], allowMethods: ['*'], allowHeaders: ['*'], allowCredentials: true },
    },
    { name: 'empty', match: { path: '/empty/*' }, pool: 'none', cors: simple },
    { name: 'small', match: { path: '/small/*' }, pool: 'a', limits: { body: '1B' }, cors: simple },
    { name: 'closed', match: { path: '/closed/*' }, pool: 'a', ipFilter: { deny: ['127.0.0.1'] }, cors: simple },
    { name: 'away', match: { path: '/away' }, redirect: { to: 'https://else.test/' }, cors: simple },
    { name: 'plain', match: { path: '/plain/*' }, pool: 'a' },
    { name: 'read', match: { path: '/methods', methods: ['GET'] }, pool: 'a' },
    {
      name: 'write',
      match: { path: '/methods', methods: ['PUT'] },
      pool: 'a',
      cors: { ...simple, allowMethods: ['PUT'] },
    },
    { name: 'options', match: { path: '/methods', methods: ['OPTIONS'] }, pool: 'a' },
    { name: 'only-post', match: { path: '/only-post', methods: ['POST'] }, pool: 'a', cors: simple },
    { name: 'new', match: { path: '/versions', headers: { 'x-version': '2' } }, pool: 'a', cors: full },
    { name: 'old', match: { path: '/versions' }, pool: 'a', cors: simple },
    { name: 'of-a-query', match: { path: '/versions', query: { v: '2' } }, pool: 'a', cors: full },
  ],
});

beforeAll(async () => {
  upstream = await startUpstream('a', byPath({ opinionated, varied }));
  gateway = await gatewayFixture({ files: { 'a.yaml': files() } });
});

async function send(line: string, fields: Record<string, string> = {}, body = ''): Promise<RawResponse> {
  const [method = '', target = ''] = line.split(' ');
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}`);
  const { responses } = await ask(gateway.port, request(method, target, 'api.test', lines, body), {
    methods: [method],
  });
  return responses[0]!;
}

const preflight = (path: string, origin: string, method = 'PUT', headers?: string) =>
  send(`OPTIONS ${path}`, {
    Origin: origin,
    'Access-Control-Request-Method': method,
    ...(headers === undefined ? {} : { 'Access-Control-Request-Headers': headers }),
  });

/** All that concerns CORS, by name without its prefix. */
function policy({ fields }: RawResponse): Record<string, string> {
  const named: Record<string, string> = {};
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at]!.toLowerCase();
    if (name === 'vary' || name.startsWith('access-control-')) {
      const key = name.replace('access-control-', '');
      named[key] = key in named ? `${named[key]} | ${fields[at + 1]!}` : fields[at + 1]!;
    }
  }
  return named;
}

const VARIES = 'Origin | Access-Control-Request-Method, Access-Control-Request-Headers';

describe('a preflight', () => {
  it('is answered by the gateway, with all that the route allows', async () => {
    upstream.clear();
    const answer = await preflight('/full/x', APP);
    expect(answer.status).toBe(204);
    expect(answer.field('content-length')).toBeUndefined();
    expect(policy(answer)).toEqual({
      vary: VARIES,
      'allow-origin': APP,
      'allow-credentials': 'true',
      'expose-headers': 'X-Total',
      'allow-methods': 'GET, PUT',
      'allow-headers': 'X-One, X-Two',
      'max-age': '3600',
    });
    expect(upstream.requests).toBe(0);
  });

  it('gets nothing but the origin where nothing else is allowed', async () => {
    expect(policy(await preflight('/simple/x', APP))).toEqual({ vary: VARIES, 'allow-origin': APP, 'max-age': '5' });
  });

  it.each([EVIL, 'http://app.test', 'https://app.test.evil.test', 'null', `${APP}, ${EVIL}`, '', 'https://'])(
    'of another origin is answered without leave, and does not reach the service: %j',
    async (origin) => {
      upstream.clear();
      const answer = await preflight('/simple/x', origin);
      expect(answer.status).toBe(204);
      expect(policy(answer)).toEqual({ vary: VARIES });
      expect(upstream.requests).toBe(0);
    },
  );

  it('with two origins has none', async () => {
    const bytes = request('OPTIONS', '/simple/x', 'api.test', [`Origin: ${APP}`, `Origin: ${APP}`, 'Access-Control-Request-Method: PUT']); // prettier-ignore
    const { responses } = await ask(gateway.port, bytes);
    expect(policy(responses[0]!)).toEqual({ vary: VARIES });
  });

  it.each(['https://www.app.test', 'https://a.b.app.test', 'null'])(
    'of an origin that is meant too: %s',
    async (origin) => {
      expect(policy(await preflight('/full/x', origin))).toMatchObject({ 'allow-origin': origin });
    },
  );

  it('is told what it asked for, where that is "*": also with credentials and for authorization', async () => {
    expect(policy(await preflight('/asked/x', EVIL, 'PATCH', 'authorization, x-any'))).toEqual({
      vary: VARIES,
      'allow-origin': EVIL,
      'allow-credentials': 'true',
      'allow-methods': 'PATCH',
      'allow-headers': 'authorization, x-any',
      'max-age': '5',
    });
  });

  it.each(['a b', 'x;y', '"', 'x,', '*/*'])('is told nothing that is no list of names: %s', async (asked) => {
    const told = policy(await preflight('/asked/x', EVIL, asked, asked));
    expect(told).not.toHaveProperty('allow-headers');
    expect(told).not.toHaveProperty('allow-methods');
  });

  it('leaves its connection usable, also for another one at once', async () => {
    const connection = await RawConnection.open(gateway.port);
    const asked = request('OPTIONS', '/full/x', 'api.test', [`Origin: ${APP}`, 'Access-Control-Request-Method: PUT']);
    connection.send(asked + asked + request('GET', '/full/x', 'api.test'));
    const statuses = [
      await connection.answer('OPTIONS'),
      await connection.answer('OPTIONS'),
      await connection.answer(),
    ];
    expect(statuses.map(({ status }) => status)).toEqual([204, 204, 200]);
    connection.close();
  });
});

describe('the route of a preflight', () => {
  it('is that of the request it asks about', async () => {
    expect((await preflight('/only-post', APP, 'POST')).status).toBe(204);
    expect(policy(await preflight('/methods', APP, 'PUT'))).toMatchObject({ 'allow-methods': 'PUT' });
  });

  it('is that of any OPTIONS where the other has no policy, or is not there', async () => {
    upstream.clear();
    expect((await preflight('/methods', APP, 'GET')).status).toBe(200);
    expect((await preflight('/plain/x', APP, 'GET')).status).toBe(200);
    expect(upstream.seen.map(({ method, target }) => `${method} ${target}`)).toEqual([
      'OPTIONS /methods',
      'OPTIONS /plain/x',
    ]);
    expect((await preflight('/only-post', APP, 'DELETE')).status).toBe(404);
    expect((await preflight('/nowhere', APP, 'DELETE')).status).toBe(404);
  });

  it('is the first that needs none of the fields that only the request will have', async () => {
    expect(policy(await preflight('/versions', APP, 'GET', 'x-version'))).not.toHaveProperty('allow-credentials');
    expect(policy(await preflight('/versions?v=2', APP, 'GET'))).toHaveProperty('allow-credentials');
  });

  it.each([
    ['without an origin', { 'Access-Control-Request-Method': 'PUT' }],
    ['without a method to ask about', { Origin: APP }],
  ])('an OPTIONS %s is no preflight, and goes to the service', async (_, fields) => {
    upstream.clear();
    expect((await send('OPTIONS /full/x', fields)).status).toBe(200);
    expect(upstream.seen.map(({ method }) => method)).toEqual(['OPTIONS']);
  });

  it('may still refuse it, before it comes to that', async () => {
    expect((await preflight('/closed/x', APP)).status).toBe(403);
  });
});

describe('a request', () => {
  it('of an allowed origin says so to its browser', async () => {
    expect(policy(await send('GET /full/x', { Origin: APP }))).toEqual({
      vary: 'Origin',
      'allow-origin': APP,
      'allow-credentials': 'true',
      'expose-headers': 'X-Total',
    });
  });

  it.each([{ Origin: EVIL }, {}])('of another origin, or none, is served without a word: %j', async (fields) => {
    const answer = await send('GET /full/x', fields);
    expect(answer.status).toBe(200);
    expect(policy(answer)).toEqual({ vary: 'Origin' });
  });

  it('is for everybody where everybody may call, and varies by nobody', async () => {
    for (const fields of [{ Origin: EVIL }, {}]) {
      expect(policy(await send('GET /open/x', fields))).toEqual({ 'allow-origin': '*', 'expose-headers': '*' });
    }
  });

  it('gets nothing of the policy of the service, and all of what it varies by', async () => {
    const answer = await send('GET /simple/opinionated', { Origin: EVIL });
    expect(policy(answer)).toEqual({ vary: 'Accept-Encoding | Origin' });
    expect(policy(await send('GET /simple/opinionated', { Origin: APP }))).toMatchObject({ 'allow-origin': APP });
    expect(policy(await send('GET /full/varied'))).toEqual({ vary: 'Accept | origin, Accept-Language' });
  });

  it('without a policy on its route is left alone', async () => {
    expect(policy(await send('GET /plain/opinionated', { Origin: APP }))).toEqual({
      vary: 'Accept-Encoding',
      'allow-origin': '*',
      'allow-credentials': 'true',
      'max-age': '999',
    });
  });

  it.each([
    ['without an endpoint', 'GET /empty/x', 503, ''],
    ['too large', 'POST /small/x', 413, 'much too large'],
    ['refused by another plugin', 'GET /closed/x', 403, ''],
    ['answered by another plugin', 'GET /away', 302, ''],
  ])('%s is answered so that a script can read it', async (_, line, status, body) => {
    const answer = await send(line, { Origin: APP }, body);
    expect(answer.status).toBe(status);
    expect(policy(answer)).toEqual({ vary: 'Origin', 'allow-origin': APP });
    if (status === 302) expect(valuesOf(answer.fields, 'location')).toEqual(['https://else.test/']);
  });
});

describe('a reload', () => {
  it('changes the policy for the next request on an open connection', async () => {
    const connection = await RawConnection.open(gateway.port);
    const asked = request('GET', '/simple/x', 'api.test', [`Origin: ${EVIL}`]);
    connection.send(asked);
    expect(policy(await connection.answer())).toEqual({ vary: 'Origin' });
    const changed = files();
    changed.routes[1]!.cors = { allowOrigins: [EVIL] };
    await gateway.write('a.yaml', changed);
    expect((await gateway.reload()).status).toBe(200);
    connection.send(asked);
    expect(policy(await connection.answer())).toEqual({ vary: 'Origin', 'allow-origin': EVIL });
    changed.routes[1]!.cors = false;
    await gateway.write('a.yaml', changed);
    expect((await gateway.reload()).status).toBe(200);
    connection.send(asked);
    expect(policy(await connection.answer())).toEqual({});
    connection.close();
  });

  it('with a policy that browsers would not take is refused, with its place', async () => {
    const changed = files();
    changed.routes[1]!.cors = { allowOrigins: ['*'], allowCredentials: true };
    await gateway.write('a.yaml', changed);
    expect((await gateway.reload()).body).toContain('cors.allowOrigins: with allowCredentials');
  });
});

describe('a policy that cannot be meant is named', () => {
  const base: CorsConfig = { allowOrigins: [APP], allowCredentials: false, maxAge: 5_000 };
  it.each<[Partial<CorsConfig>, (string | number)[], string]>([
    [{ allowOrigins: ['*'], allowCredentials: true }, ['allowOrigins'], 'name the origins'],
    [{ exposeHeaders: ['*'], allowCredentials: true }, ['exposeHeaders'], 'name the fields'],
    [{ allowOrigins: ['*', APP] }, ['allowOrigins'], 'stands alone'],
    [{ allowMethods: ['GET', '*'] }, ['allowMethods'], 'stands alone'],
    [{ allowOrigins: [APP, 'app.test'] }, ['allowOrigins', 1], 'as https://app.test'],
    [{ allowOrigins: ['https://app.test/'] }, ['allowOrigins', 0], 'write https://app.test'],
    [{ allowHeaders: ['x y'] }, ['allowHeaders', 0], 'is not a field name'],
    [{ exposeHeaders: ['x\r\ny'] }, ['exposeHeaders', 0], 'is not a field name'],
  ])('%j', (options, path, message) => {
    const faults = checkCors({ ...base, ...options });
    expect(faults.map((fault) => fault.path)).toEqual([path]);
    expect(faults[0]!.message).toContain(message);
  });

  it('sound ones have no fault', () => {
    expect(checkCors(base)).toEqual([]);
    expect(checkCors({ ...base, allowOrigins: ['*'], allowHeaders: ['*'], exposeHeaders: ['*'] })).toEqual([]);
  });
});
