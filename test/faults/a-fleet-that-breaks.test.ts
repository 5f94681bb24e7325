/** Instances that hang, flap, break off, lie dead or are taken away, in front of one gateway: what their clients feel of it. */
import { beforeAll, describe, expect, it } from 'vitest';
import { startFaultyUpstream, type FaultyUpstream } from '../support/faulty-upstream.ts';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';
import { startLoad } from '../support/load.ts';
import { ask, RawConnection, request } from '../support/raw-client.ts';
import { until } from '../support/until.ts';
import { echo, hang, startUpstream, status, type Answer, type Echo, type Upstream } from '../support/upstream.ts';

const HASHED = 10;
const KEYS = 200;
const WEIGHTS = [70, 30, 0];

/** A service that misbehaves only for as long as it is told to. */
interface Mood extends Answer {
  current: Answer;
}

function moody(): Mood {
  const mood: Mood = Object.assign((...args: Parameters<Answer>) => mood.current(...args), { current: echo });
  return mood;
}

/** Of the service whose first instance breaks. */
const mood = moody();
/** Of the service that has a breaker. */
const lost = moody();
let fleet: Upstream[];
let broken: Upstream;
let other: Upstream;
let faulty: FaultyUpstream;
let weighted: Upstream[];
let hashed: Upstream[];
let gateway: GatewayFixture;

const urls = (upstreams: readonly Upstream[]) => upstreams.map(({ url }) => url);
const start = (name: string, count: number) =>
  Promise.all(Array.from({ length: count }, (_, at) => startUpstream(`${name}-${at}`)));
const hashedFile = (upstreams: readonly Upstream[]) => ({
  pools: { hashed: { endpoints: urls(upstreams), balance: { hash: 'header:x-key' } } },
  routes: [{ name: 'hashed', match: { path: '/hashed' }, pool: 'hashed' }],
});

beforeAll(async () => {
  fleet = [await startUpstream('users-0', mood), ...(await start('users', 3)).slice(1)];
  [broken, other, faulty] = [
    await startUpstream('lost', lost),
    await startUpstream('other'),
    await startFaultyUpstream(),
  ];
  weighted = await start('weighted', WEIGHTS.length);
  hashed = await start('hashed', HASHED);
  const pools = {
    users: {
      endpoints: urls(fleet),
      balance: 'round-robin',
      health: {
        active: { path: '/healthz', interval: '200ms', fastInterval: '50ms', timeout: '200ms', unhealthyAfter: 2 },
        passive: { consecutiveFailures: 3, ejectFor: '200ms', maxEjectFor: '400ms' },
      },
    },
    broken: { endpoints: [broken.url], breaker: { minRequests: 5, openFor: '1m' }, health: { passive: false } },
    other: { endpoints: [other.url] },
    faulty: { endpoints: [faulty.url], health: { passive: false } },
    weighted: {
      endpoints: weighted.map(({ url }, at) => ({ url, weight: WEIGHTS[at] })),
      balance: 'round-robin',
    },
  };
  const retry = { attempts: 3, on: ['connect', 'reset', 'timeout', 503], budget: '100%' };
  const routes = [
    { name: 'users', match: { path: '/users/*' }, pool: 'users', retry, timeout: { perTry: '500ms' } },
    { name: 'broken', match: { path: '/broken' }, pool: 'broken' },
    { name: 'other', match: { path: '/other' }, pool: 'other' },
    { name: 'faulty', match: { path: '/faulty/*' }, pool: 'faulty', retry, cache: { ttl: '1m' } },
    { name: 'weighted', match: { path: '/weighted' }, pool: 'weighted' },
  ];
  gateway = await gatewayFixture({
    gateway: { threads: 2 },
    files: { 'fleet.yaml': { pools, routes }, 'hashed.yaml': hashedFile(hashed) },
  });
});

/** Statuses of GETs over one connection, one after the other. */
async function statuses(path: string, count: number): Promise<number[]> {
  const connection = await RawConnection.open(gateway.port);
  const all: number[] = [];
  for (let at = 0; at < count; at++) {
    connection.send(request('GET', path, 'any.test'));
    all.push((await connection.answer()).status);
  }
  connection.close();
  return all;
}

describe('no GET is lost', () => {
  it('while an instance hangs, and it has its share again when it goes on', async () => {
    const [first] = fleet as [Upstream];
    const load = startLoad(gateway.url, { clients: 6, everyMs: 5, path: '/users/1' });
    await until(() => (load.byInstance['users-0'] ?? 0) > 20, 'load');
    mood.current = hang;
    const isOut = async () => /"(ejected|unhealthy)"/.test((await gateway.admin('/pools')).body);
    await until(isOut, 'the verdict');
    // The last that was sent to it has its answer from another by now, or will have.
    const asked = first.requests;
    const served = load.served;
    await until(() => load.served > served + 200, 'load without it');
    const tries = first.requests - asked;
    mood.current = echo;
    const before = load.byInstance['users-0'] ?? 0;
    await until(() => (load.byInstance['users-0'] ?? 0) > before + 20, 'its return');
    await load.stop();
    expect(load.failures).toEqual([]);
    expect(tries).toBeLessThan(60); // of a third of 200: probes and returns on probation
  });

  it('while an instance comes and goes, again and again', async () => {
    const [first] = fleet as [Upstream];
    const load = startLoad(gateway.url, { clients: 6, everyMs: 2, path: '/users/1' });
    for (let flap = 0; flap < 6; flap++) {
      const served = load.served;
      await until(() => load.served > served + 60, 'load with it');
      await first.kill();
      const without = load.served;
      await until(() => load.served > without + 60, 'load without it');
      await first.revive();
    }
    const before = load.byInstance['users-0'] ?? 0;
    await until(() => (load.byInstance['users-0'] ?? 0) > before + 20, 'its return');
    await load.stop();
    expect(load.failures).toEqual([]);
  });
});

describe('a pool that is lost whole', () => {
  it('is not asked any more once its breaker is open: 503 at once, and other routes feel nothing', async () => {
    lost.current = status(500);
    await until(async () => (await statuses('/broken', 1))[0] === 503, 'the breaker to open');
    const asked = broken.requests;
    const [refused, others] = await Promise.all([statuses('/broken', 100), statuses('/other', 100)]);
    expect(refused).toEqual(Array(100).fill(503));
    expect(others).toEqual(Array(100).fill(200));
    expect(broken.requests).toBe(asked);
    const { responses } = await ask(gateway.port, request('GET', '/broken', 'any.test'));
    expect(responses[0]?.field('retry-after')).toMatch(/^\d+$/);
    expect(responses[0]?.field('proxy-status')).toMatch(/error=destination_unavailable/);
  });
});

describe('an answer that breaks off', () => {
  it('breaks at the client, is never asked for again behind its back, and never stored', async () => {
    for (let at = 0; at < 3; at++) {
      const connection = await RawConnection.open(gateway.port);
      connection.send(request('GET', '/faulty/reset-mid-body', 'any.test'));
      await connection.wait(() => false, 'the end of the connection');
      expect(connection.received.toString()).toContain('half');
      expect(faulty.requests).toBe(at + 1);
    }
  });
});

describe('through real sockets', () => {
  it('weights are shares, and 0 gets nothing', async () => {
    expect(await statuses('/weighted', 500)).toEqual(Array(500).fill(200));
    const [most, some, none] = weighted.map(({ requests }) => requests) as [number, number, number];
    expect(Math.abs(most - 350)).toBeLessThanOrEqual(25);
    expect(Math.abs(some - 150)).toBeLessThanOrEqual(25);
    expect(none).toBe(0);
  });

  it('one of ten that is taken away moves its own keys and few others', async () => {
    const before = await homes();
    await gateway.write('hashed.yaml', hashedFile(hashed.slice(1)));
    expect((await gateway.reload()).status).toBe(200);
    const after = await homes();
    const moved = [...before].filter(([key, home]) => after.get(key) !== home);
    const own = [...before.values()].filter((home) => home === 'hashed-0').length;
    expect(own).toBeGreaterThan(0);
    expect(moved.length).toBeGreaterThanOrEqual(own);
    expect(moved.length).toBeLessThanOrEqual(Math.max(own, KEYS * 0.15));
  });
});

/** Which instance each key is sent to. */
async function homes(): Promise<Map<string, string>> {
  const connection = await RawConnection.open(gateway.port);
  const found = new Map<string, string>();
  for (let at = 0; at < KEYS; at++) {
    connection.send(request('GET', '/hashed', 'any.test', [`X-Key: user-${at}`]));
    found.set(`user-${at}`, (JSON.parse((await connection.answer()).text()) as Echo).instance);
  }
  connection.close();
  return found;
}
