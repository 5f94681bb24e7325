import type { FastifyReply } from 'fastify';
import { beforeAll, describe, expect, it } from 'vitest';
import type { RouteConfig } from '../../src/config/schema.ts';
import type { Exchange } from '../../src/data/exchange.ts';
import type { PluginContext } from '../../src/extension.ts';
import { gatewayFixture, type GatewayFixture } from '../../test/support/gateway.ts';
import { ask, RawConnection, request } from '../../test/support/raw-client.ts';
import { startUpstream, type Upstream } from '../../test/support/upstream.ts';
import csrf from './index.ts';

const HOST = 'shop.test';
const ADMIN = 'https://admin.test';

let gateway: GatewayFixture;
let upstream: Upstream;

const files = () => ({
  pools: { a: { endpoints: [upstream.url] } },
  routes: [
    { name: 'shop', match: { path: '/*' }, pool: 'a', csrf: { allowOrigins: [ADMIN, 'https://*.partners.test'] } },
    { name: 'strict', match: { path: '/strict' }, pool: 'a', csrf: true as boolean },
  ],
});

beforeAll(async () => {
  upstream = await startUpstream('a');
  gateway = await gatewayFixture({ files: { 'a.yaml': files() } });
});

async function statusOf(line: string, fields: readonly string[] = [], host = HOST): Promise<number> {
  const [method = '', target = ''] = line.split(' ');
  const { responses } = await ask(gateway.port, request(method, target, host, fields), { methods: [method] });
  return responses[0]!.status;
}

describe('an unsafe request', () => {
  it.each<[string, string[]]>([
    ['of a page of the same origin', ['Sec-Fetch-Site: same-origin', `Origin: https://${HOST}`]],
    ['that the user made', ['Sec-Fetch-Site: none']],
    ['of an older browser, of the same origin', [`Origin: https://${HOST}`]],
    ['of one that says the port', [`Origin: https://${HOST}:443`]],
    ['of one that gives only where it was', [`Referer: https://${HOST}/cart?x=https://evil.test`]],
    ['of an origin that is allowed', ['Sec-Fetch-Site: cross-site', `Origin: ${ADMIN}`]],
    ['of one below a name that is allowed', ['Sec-Fetch-Site: cross-site', 'Origin: https://a.partners.test']],
    ['of an allowed one, of an older browser', [`Origin: ${ADMIN}`]],
    ['of an allowed one, that gives only where it was', [`Referer: ${ADMIN}/orders`]],
    ['of no browser', []],
    ['with another case', ['SEC-FETCH-SITE: same-origin']],
  ])('passes %s: %j', async (_, fields) => {
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) expect(await statusOf(`${method} /x`, fields)).toBe(200);
  });

  it.each<[string, string[]]>([
    ['of another site', ['Sec-Fetch-Site: cross-site', 'Origin: https://evil.test']],
    ['of a sibling domain', ['Sec-Fetch-Site: same-site', 'Origin: https://blog.shop.test']],
    ['whose browser says so, whatever its origin', ['Sec-Fetch-Site: cross-site', `Origin: https://${HOST}`]],
    ['that hides where it comes from', ['Sec-Fetch-Site: cross-site']],
    ['that says two things', ['Sec-Fetch-Site: same-origin', 'Sec-Fetch-Site: cross-site']],
    ['that says nothing known', ['Sec-Fetch-Site: same-origin, ']],
    ['of another origin, of an older browser', ['Origin: https://evil.test']],
    ['of another port', [`Origin: https://${HOST}:8443`]],
    ['of a sandboxed page', ['Origin: null']],
    ['of no origin at all', ['Origin: ']],
    ['of a name that begins alike', [`Origin: https://${HOST}.evil.test`]],
    ['of a name that hides another', [`Origin: https://${HOST}@evil.test`]],
    ['with two origins', [`Origin: https://${HOST}`, 'Origin: https://evil.test']],
    ['that gives only where it was', ['Referer: https://evil.test/?https://shop.test/']],
    ['whose referer is no URL', ['Referer: shop.test']],
    ['whose origin counts before where it was', ['Origin: https://evil.test', `Referer: https://${HOST}/`]],
  ])('is refused %s: %j', async (_, fields) => {
    upstream.clear();
    expect(await statusOf('POST /x', fields)).toBe(403);
    expect(upstream.requests).toBe(0);
  });

  it('is of its own origin on another port too, when that is what it asked for', async () => {
    expect(await statusOf('POST /x', [`Origin: http://${HOST}:8080`], `${HOST}:8080`)).toBe(200);
    expect(await statusOf('POST /x', [`Origin: http://${HOST}`], `${HOST}:80`)).toBe(200);
    expect(await statusOf('POST /x', [`Origin: http://${HOST}`], `${HOST}:8080`)).toBe(403);
    expect(await statusOf('POST /x', ['Origin: http://[::1]:8080'], '[0:0::1]:8080')).toBe(200);
  });

  it('has methods of its own, and others that nobody knows', async () => {
    expect(await statusOf('PROPFIND /x', ['Sec-Fetch-Site: cross-site'])).toBe(403);
  });
});

describe('a safe request', () => {
  it.each(['GET', 'HEAD', 'OPTIONS'])('passes, wherever it comes from: %s', async (method) => {
    expect(await statusOf(`${method} /x`, ['Sec-Fetch-Site: cross-site', 'Origin: https://evil.test'])).toBe(200);
  });

  it('is no longer one when it opens a WebSocket', async () => {
    const upgrade = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=='];
    expect(await statusOf('GET /x', [...upgrade, 'Origin: https://evil.test'])).toBe(403);
    expect(await statusOf('GET /x', [...upgrade, 'Sec-Fetch-Site: same-site'])).toBe(403);
    expect(await statusOf('GET /x', [...upgrade, `Origin: https://${HOST}`])).not.toBe(403);
    expect(await statusOf('GET /x', upgrade)).not.toBe(403);
  }); // prettier-ignore
});

describe('a refusal', () => {
  it('is a problem that tells the page nothing, and why to the log alone', async () => {
    const { responses } = await ask(gateway.port, request('POST', '/x', HOST, ['Origin: https://evil.test']));
    expect(responses[0]!.field('content-type')).toBe('application/problem+json');
    expect(JSON.parse(responses[0]!.text())).toMatchObject({ status: 403, error: 'http_request_denied' });
    expect(responses[0]!.text()).not.toContain('evil');
  });
});

describe('a reload', () => {
  it('changes who may, for the next request of an open connection', async () => {
    const connection = await RawConnection.open(gateway.port);
    const asked = request('POST', '/strict', HOST, [`Origin: ${ADMIN}`]);
    connection.send(asked);
    expect((await connection.answer()).status).toBe(403);
    const changed = files();
    changed.routes[1]!.csrf = false;
    await gateway.write('a.yaml', changed);
    expect((await gateway.reload()).status).toBe(200);
    connection.send(asked);
    expect((await connection.answer()).status).toBe(200);
    connection.close();
  });

  it.each([
    ['app.test', 'as https://app.test'],
    ['null', 'any site can send'],
    ['*', 'https://*'],
  ])('with an origin that is none is refused: %s', async (origin, said) => {
    const changed = files();
    changed.routes[0]!.csrf = { allowOrigins: [origin] };
    await gateway.write('a.yaml', changed);
    expect((await gateway.reload()).body).toContain(said);
  });
});

describe('a route with auth', () => {
  const ambient = { ambient: true };
  const shown = { ambient: false };

  function decide(
    principal: object | undefined,
    options: { always?: boolean } = {},
    route: object = { auth: { oidc: {} } },
  ) {
    const exchange = { method: 'POST', host: HOST, authority: HOST, principal, header: (name: string) => CROSS[name] };
    const context = { route: route as RouteConfig } as PluginContext;
    const concern = csrf.create({ allowOrigins: [], always: false, ...options }, context);
    let decision: unknown = 'none';
    concern.onRequest!(exchange as unknown as Exchange, {} as FastifyReply, (error) => (decision = error ? 403 : 'on'));
    return decision;
  }
  const CROSS: Record<string, string> = { 'sec-fetch-site': 'cross-site' };

  it('looks at what came by itself alone', () => {
    expect([ambient, shown, undefined].map((principal) => decide(principal))).toEqual([403, 'on', 'on']);
  });

  it('looks at everything where it always shall', () => {
    expect([ambient, shown, undefined].map((principal) => decide(principal, { always: true }))).toEqual([
      403, 403, 403,
    ]);
  });

  it('is another one than a route that has none, or whose auth is off', () => {
    expect([{}, { auth: false }].map((route) => decide(undefined, {}, route))).toEqual([403, 403]);
  });
});
