/** An operator drains an endpoint: it finishes what it has and gets nothing new, until that is undone. */
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { drain, type DrainFlags } from '../../src/cli/drain.ts';
import { explain } from '../../src/cli/explain.ts';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';
import { poolState, serve } from '../support/pools.ts';
import { aya } from '../support/command.ts';
import { until } from '../support/until.ts';
import { byPath, slow, startUpstream, type Echo, type Upstream } from '../support/upstream.ts';
import { CLOSE, echoBytes, openSocket, startSocketUpstream, type SocketUpstream } from '../support/web-socket.ts';

let one: Upstream;
let two: Upstream;
let sockets: SocketUpstream;
let gateway: GatewayFixture;

const files = (comment: string) => ({
  pools: {
    orders: { endpoints: [one.url, two.url], balance: 'round-robin', health: { passive: false } },
    sockets: { endpoints: [sockets.url], health: { passive: false } },
    stuck: { endpoints: [one.url, two.url], sticky: { cookie: 'stuck' }, health: { passive: false } },
  },
  routes: [
    { name: comment, match: { path: '/orders/*' }, pool: 'orders' },
    { name: 'stuck', match: { path: '/stuck' }, pool: 'stuck' },
    { name: 'sockets', match: { path: '/sockets/*' }, pool: 'sockets' },
  ],
});

beforeAll(async () => {
  [one, two] = await Promise.all([
    startUpstream('one', byPath({ slow: slow(600) })),
    startUpstream('two', byPath({ slow: slow(600) })),
  ]);
  sockets = await startSocketUpstream('sockets', { bytes: echoBytes });
  gateway = await gatewayFixture({ gateway: { threads: 2 }, files: { 'orders.yaml': files('orders') } });
});

/** `127.0.0.1:8080` */
const place = ({ url }: { readonly url: string }) => new URL(url).host;
const order = (endpoint: string, flags: Partial<DrainFlags> = {}, pool = 'orders') =>
  drain(pool, endpoint, { dir: gateway.dir, admin: gateway.adminUrl, ...flags });
const shown = async (at = 0) => (await poolState(gateway, 'orders')).endpoints[at]!;

beforeEach(async () => {
  await order(place(one), { undo: true });
});

describe('a drained endpoint', () => {
  it('finishes what it has, gets nothing new in any thread, and comes back when that is undone', async () => {
    const before = [one.requests, two.requests];
    const lasting = Array.from({ length: 8 }, () => fetch(`${gateway.url}/orders/slow`));
    await until(() => one.requests + two.requests - before[0]! - before[1]! === 8, 'the slow ones');
    const had = one.requests - before[0]!;
    expect(had).toBeGreaterThan(0);
    expect(await order(place(one))).toEqual({
      out: `${one.url} of pool orders gets nothing new; ${had} request${had === 1 ? '' : 's'} in flight`,
      exitCode: 0,
    });
    expect((await serve(gateway, '/orders/x', 10, 4)).by).toEqual({ two: 40 });
    expect((await Promise.all(lasting)).map(({ status }) => status)).toEqual(Array(8).fill(200));
    await until(async () => (await shown()).inFlight === 0, 'nothing in flight');
    expect(await shown()).toMatchObject({ state: 'draining', keepsSessions: false, reason: 'drained by an operator' });
    expect((await gateway.admin('/metrics')).body).toContain(
      `aya_endpoint_status{pool="orders",endpoint="${one.url}",reason="draining"} 1`,
    );

    expect(await order(one.url, { undo: true })).toMatchObject({
      out: `${one.url} of pool orders takes requests again`,
    });
    expect((await serve(gateway, '/orders/x', 10, 4)).by['one']).toBeGreaterThan(10);
  });

  it('stays drained through reloads', async () => {
    await order(place(one), { keepSessions: true });
    await gateway.write('orders.yaml', files('renamed'));
    expect((await gateway.reload()).status).toBe(200);
    expect(await shown()).toMatchObject({ state: 'draining', keepsSessions: true });
    expect((await serve(gateway, '/orders/x', 10)).by).toEqual({ two: 10 });
  });

  it('is not used when the other is gone either: nothing is left then, which is said', async () => {
    expect(await order(place(one))).not.toHaveProperty('err');
    expect((await order(place(two))).err).toContain('no other endpoint of pool orders is available: --undo');
    expect((await fetch(`${gateway.url}/orders/x`)).status).toBe(503);
    await order(place(two), { undo: true });
  });

  it('is skipped by `aya explain`, which says why', async () => {
    await order(place(one));
    const { out } = await explain('GET', '/orders/1', {
      dir: gateway.dir,
      admin: gateway.adminUrl,
      header: [],
      client: '127.0.0.1',
      json: true,
    });
    const { destinations } = JSON.parse(out!) as {
      destinations: { endpoints: { considered: boolean; reason: string }[] }[];
    };
    const [first, second] = destinations[0]!.endpoints;
    expect(first!.considered).toBe(false);
    expect(first!.reason).toMatch(/^draining since .*: drained by an operator$/);
    expect(second!.considered).toBe(true);
  });

  it('keeps the sessions that are stuck to it where that is asked for, and takes no new ones', async () => {
    const ask = async (cookie = '') => {
      const answer = await fetch(`${gateway.url}/stuck`, { headers: cookie === '' ? {} : { cookie } });
      const { instance } = (await answer.json()) as Echo;
      return { instance, cookie: answer.headers.getSetCookie()[0]?.split(';')[0] };
    };
    const { cookie } = await until(async () => {
      const session = await ask();
      return session.instance === 'one' ? session : undefined;
    }, 'a session');
    await order(place(one), { keepSessions: true }, 'stuck');
    for (let at = 0; at < 5; at++) expect((await ask(cookie)).instance).toBe('one');
    for (let at = 0; at < 10; at++) expect((await ask()).instance).toBe('two');
    await order(place(one), {}, 'stuck');
    expect((await ask(cookie)).instance).toBe('two');
    await order(place(one), { undo: true }, 'stuck');
  });

  it('keeps its WebSockets, and closes them at the deadline that was asked for', async () => {
    const socket = await openSocket(gateway.port, '/sockets/bytes');
    await order(place(sockets), {}, 'sockets');
    await order(place(sockets), { timeout: '100ms' }, 'sockets');
    const closing = await until(() => socket.frames().find(({ opcode }) => opcode === CLOSE), 'the close frame');
    expect(closing.payload.readUInt16BE(0)).toBe(1001);
    await until(async () => (await poolState(gateway, 'sockets')).endpoints[0]!.inFlight === 0, 'its end');
    await order(place(sockets), { undo: true }, 'sockets');
  });
});

describe('an order that cannot be followed', () => {
  it.each([
    ['order', '127.0.0.1:1', "no pool is named 'order': did you mean 'orders'?"],
    ['orders', '10.9.8.7:80', "pool 'orders' has no endpoint '10.9.8.7:80': it has "],
    ['orders', 'not a place', "pool 'orders' has no endpoint 'not a place'"],
  ])('names what is there: %s %s', async (pool, endpoint, sentence) => {
    await expect(order(endpoint, {}, pool)).rejects.toThrow(sentence);
  });

  it.each([
    ['endpoint=', 'say which'],
    ['', 'say which'],
    ['endpoint=x&endpoint=y', 'said twice'],
    ['endpoint=x&force=true', "'force' is none of"],
    ['endpoint=x&timeout=soon', 'not a duration'],
    ['endpoint=x&timeout=25d', 'longer than a week'],
    ['endpoint=x&keepSessions=maybe', 'neither true nor false'],
  ])('of the admin server is refused: ?%s', async (query, sentence) => {
    const answer = await fetch(`${gateway.adminUrl}/pools/orders/drain?${query}`, { method: 'POST' });
    expect(answer.status).toBe(400);
    expect(((await answer.json()) as { detail: string }).detail).toContain(sentence);
  });

  it('is wrong usage where it contradicts itself', async () => {
    expect(await order(place(one), { undo: true, timeout: '1s' })).toMatchObject({ exitCode: 2 });
    expect(await order(place(one), { timeout: '30' })).toMatchObject({ exitCode: 2 });
  });
});

it('is a command', async () => {
  const { exitCode, out } = await aya('drain', 'orders', place(one), '--dir', gateway.dir, '--admin', gateway.adminUrl);
  expect({ exitCode, out }).toEqual({
    exitCode: 0,
    out: `${one.url} of pool orders gets nothing new; 0 requests in flight\n`,
  });
});
