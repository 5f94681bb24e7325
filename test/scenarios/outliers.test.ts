/** Endpoints that do worse than they may, found by real traffic; on a gateway with two threads. */
import { beforeAll, expect, it } from 'vitest';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';
import { metric } from '../support/metrics.ts';
import { until } from '../support/until.ts';
import { echo, slow, startUpstream, status, type Answer, type Upstream } from '../support/upstream.ts';

/** Fails one of `every`, never two in a row. */
function failsOften(every: number): Answer {
  const fail = status(500);
  return (request, response, upstream) => (upstream.requests % every === 0 ? fail : echo)(request, response, upstream);
}

/** Good when it is asked for its health, and at nothing else. */
const liar: Answer = (request, response, upstream) =>
  (request.url === '/healthz' ? echo : status(500))(request, response, upstream);

const [BAD, GOOD] = [status(500), echo];

/** Whom `inTrouble` names answers 503. */
const inTrouble = new Set<string>();
const troubled: Answer = (request, response, upstream) =>
  (inTrouble.has(upstream.name) ? status(503) : echo)(request, response, upstream);
const FOREVER = { ejectFor: '10m', maxEjectFor: '1h' };
/** Only the rule in question, and soon. */
const COMPARED = { ...FOREVER, consecutiveFailures: 0, window: '300ms' };

interface Case {
  readonly passive: object;
  readonly statuses?: object;
  readonly active?: object;
  readonly panic?: object;
  readonly answers: readonly Answer[];
}

/** By pool. */
const POOLS = {
  rate: {
    passive: { ...COMPARED, successRate: { minRequests: 10 } },
    answers: [failsOften(4), GOOD, GOOD, GOOD, GOOD],
  },
  percentage: {
    passive: { ...COMPARED, failurePercentage: { threshold: '40%', minRequests: 10 } },
    answers: [GOOD, failsOften(2), failsOften(10)],
  },
  tardy: {
    passive: { ...COMPARED, slow: { margin: '30ms', minRequests: 5 } },
    answers: [GOOD, GOOD, slow(80)],
  },
  logged: { passive: { ...FOREVER, mode: 'log' }, answers: [BAD, GOOD] },
  pair: { passive: FOREVER, answers: [BAD, BAD] },
  shared: { passive: FOREVER, answers: [troubled, troubled, troubled] },
  three: { passive: FOREVER, answers: [BAD, BAD, GOOD] },
  many: { passive: { ...FOREVER, maxEjected: '100%', minHealthy: 2 }, answers: [BAD, BAD, GOOD] },
  all: { passive: { ...FOREVER, maxEjected: '100%' }, answers: [BAD, BAD], panic: { then: 'fail' } },
  blackHole: { passive: {}, answers: [BAD, slow(5), slow(5)] },
  judged: {
    passive: FOREVER,
    statuses: { fail: [404], ignore: ['500-599'] },
    answers: [status(404), status(503), GOOD],
  },
  lies: { passive: FOREVER, active: { path: '/healthz', interval: '50ms' }, answers: [liar, GOOD] },
  gateways: {
    passive: { ...FOREVER, consecutiveFailures: 0, consecutiveGatewayFailures: 3 },
    answers: [status(504), BAD, GOOD],
  },
} satisfies Record<string, Case>;
type PoolName = keyof typeof POOLS;
const NAMES = Object.keys(POOLS) as PoolName[];

const upstreams = new Map<PoolName, readonly Upstream[]>();
let gateway: GatewayFixture;

beforeAll(async () => {
  for (const pool of NAMES) {
    const { answers } = POOLS[pool];
    upstreams.set(pool, await Promise.all(answers.map((answer, at) => startUpstream(`${pool}-${at}`, answer))));
  }
  const pools = Object.fromEntries(
    NAMES.map((name) => {
      const { passive, statuses, active, panic }: Case = POOLS[name];
      const endpoints = upstreams.get(name)!.map(({ url }) => url);
      const health = { passive, ...(statuses && { statuses }), ...(active && { active }), ...(panic && { panic }) };
      return [name, { endpoints, balance: name === 'blackHole' ? 'least-connections' : 'round-robin', health }];
    }),
  );
  const routes = NAMES.map((name) => ({ name, match: { path: `/${name}` }, pool: name, retry: false }));
  gateway = await gatewayFixture({ gateway: { threads: 2 }, files: { 'outliers.yaml': { pools, routes } } });
});

interface EndpointPage {
  readonly state: string;
  readonly reason: string;
  readonly failures: number;
  readonly ejections: number;
}

async function endpointsOf(pool: PoolName): Promise<readonly EndpointPage[]> {
  const { body } = await gateway.admin('/pools');
  const { pools } = JSON.parse(body) as { pools: { name: string; endpoints: EndpointPage[] }[] };
  return pools.find(({ name }) => name === pool)!.endpoints;
}

const ejectedOf = async (pool: PoolName) =>
  (await endpointsOf(pool)).flatMap(({ state }, at) => (state === 'ejected' ? [at] : []));

/** @returns statuses. */
async function ask(pool: PoolName, count: number): Promise<number[]> {
  return Promise.all(
    Array.from({ length: count }, async () => {
      const answer = await fetch(`${gateway.url}/${pool}`);
      await answer.arrayBuffer();
      return answer.status;
    }),
  );
}

/** Asks until it is so. */
const traffic = (pool: PoolName, isSo: () => boolean | Promise<boolean>, what: string) =>
  until(async () => {
    await ask(pool, 12);
    return isSo();
  }, what);

const isEjected = (pool: PoolName, at: number) =>
  traffic(pool, async () => (await ejectedOf(pool)).includes(at), `endpoint ${at} of '${pool}' is ejected`);

const lines = (pool: PoolName, event: string) =>
  gateway.logs.filter((line) => line.event === event && line.pool === pool);

it.each([
  [
    'rate',
    0,
    'success-rate',
    String.raw`^passive: [78]\d\.\d % of answers were good, 9\d\.\d % in the pool; ejected for 600 s$`,
  ],
  ['percentage', 1, 'failure-percentage', String.raw`^passive: \d+ of \d+ answers failed; ejected for 600 s$`],
  [
    'tardy',
    2,
    'slow',
    String.raw`^passive: half of its answers took \d+ ms or longer, .* ms is usual; ejected for 600 s$`,
  ],
] as const)('by %s: the one that does worse is ejected, and no other', async (pool, outlier, cause, reason) => {
  await isEjected(pool, outlier);
  expect((await endpointsOf(pool))[outlier]!.reason).toMatch(new RegExp(reason));
  expect(await metric(gateway, 'aya_pool_ejections_total', `pool="${pool}",cause="${cause}",mode="eject"`)).toBe(1);
  const asked = upstreams.get(pool)![outlier]!.requests;
  expect(await ask(pool, 24)).toContain(200);
  expect(upstreams.get(pool)![outlier]!.requests).toBe(asked);
  expect(await ejectedOf(pool)).toEqual([outlier]);
  expect(lines(pool, 'endpoint_ejected')).toHaveLength(1);
});

it('with mode log nobody is ejected, and all is told', async () => {
  await traffic('logged', () => lines('logged', 'endpoint_would_be_ejected').length > 0, 'the line');
  const [bad] = upstreams.get('logged')!;
  const asked = bad!.requests;
  await ask('logged', 24);
  expect(bad!.requests).toBeGreaterThan(asked);
  expect((await endpointsOf('logged'))[0]).toMatchObject({ state: 'available', ejections: 0 });
  expect(lines('logged', 'endpoint_would_be_ejected')[0]).toMatchObject({ endpoint: bad!.url });
  expect(lines('logged', 'endpoint_ejected')).toEqual([]);
  const count = (mode: string) =>
    metric(gateway, 'aya_pool_ejections_total', `pool="logged",cause="consecutive-failures",mode="${mode}"`);
  expect([await count('log'), await count('eject')]).toEqual([1, 0]);
});

it.each([
  ['pair', 'of two that fail alike both stay', 0, 'its only peer fails as well'],
  [
    'three',
    'of three at most one is out, for half of three is one',
    1,
    '1 of 3 endpoints are ejected already, 1 may be',
  ],
  ['many', 'minHealthy keeps two of three', 1, 'only 1 of the others is available, minHealthy is 2'],
] as const)('%s: %s', async (pool, _, out, why) => {
  await traffic(pool, () => lines(pool, 'endpoint_not_ejected').length > 0, 'one that is spared');
  await ask(pool, 24);
  expect(await ejectedOf(pool)).toHaveLength(out);
  const said = new Set(lines(pool, 'endpoint_not_ejected').map(({ msg }) => msg));
  expect(said).toEqual(new Set([`not ejected because ${why}`]));
});

it.each([
  ['answers 503', () => upstreams.get('shared')!.forEach(({ name }) => inTrouble.add(name)), () => inTrouble.clear()],
  [
    'is away',
    () => Promise.all(upstreams.get('shared')!.map((upstream) => upstream.kill())),
    () => Promise.all(upstreams.get('shared')!.map((upstream) => upstream.revive())),
  ],
])('when all that a pool has %s, all of it serves at once when that is over', async (_, begin, end) => {
  const all = upstreams.get('shared')!;
  await begin();
  for (let round = 0; round < 10; round++) expect(await ask('shared', 12)).not.toContain(200);
  await until(async () => (await ejectedOf('shared')).length === 0, 'nobody is ejected');
  await end();
  for (const upstream of all) upstream.clear();
  expect(new Set(await ask('shared', 36))).toEqual(new Set([200]));
  for (const { requests } of all) expect(requests).toBeGreaterThanOrEqual(11);
});

it('after trouble that all had, a single bad one is ejected as ever', async () => {
  const [first, , last] = upstreams.get('shared')!;
  for (const { name } of upstreams.get('shared')!) inTrouble.add(name);
  await ask('shared', 36);
  inTrouble.clear();
  inTrouble.add(last!.name);
  await isEjected('shared', 2);
  expect(await ejectedOf('shared')).toEqual([2]);
  expect(first!.requests).toBeGreaterThan(0);
  expect(new Set(await ask('shared', 24))).toEqual(new Set([200]));
});

it('maxEjected 100% lets a pool be emptied, where that was asked for', async () => {
  await traffic('all', async () => (await ejectedOf('all')).length === 2, 'both are out');
  const answer = await fetch(`${gateway.url}/all`);
  expect([answer.status, answer.headers.has('retry-after')]).toEqual([503, true]);
});

it('by default: one of three that fails at once is out, though it is the least busy of all', async () => {
  await isEjected('blackHole', 0);
  expect(new Set(await ask('blackHole', 24))).toEqual(new Set([200]));
  expect(await ejectedOf('blackHole')).toEqual([0]);
});

it('a status is good, a failure, or ignored, as the pool says', async () => {
  await isEjected('judged', 0);
  await ask('judged', 24);
  const [, unavailable] = await endpointsOf('judged');
  expect(unavailable).toMatchObject({ state: 'available', failures: 0 });
  expect(await ejectedOf('judged')).toEqual([0]);
});

it('a health endpoint that says 200 while requests fail has not the last word', async () => {
  await isEjected('lies', 0);
  const [liar] = upstreams.get('lies')!;
  const probes = liar!.requests;
  await until(() => liar!.requests > probes + 3, 'good probes');
  expect(await ejectedOf('lies')).toEqual([0]);
  expect(new Set(await ask('lies', 12))).toEqual(new Set([200]));
});

it('consecutive gateway failures are 502, 503, 504 and what never answered; a 500 is none', async () => {
  await isEjected('gateways', 0);
  await ask('gateways', 24);
  expect(await ejectedOf('gateways')).toEqual([0]);
  expect((await endpointsOf('gateways'))[0]!.reason).toMatch(
    /^passive: \d+ gateway failures in a row, last status 504/,
  );
});
