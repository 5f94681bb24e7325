/** How a request was decided can be known: in its answer, at the admin server, in the log, and after it has failed. */
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { decisions, explainRequest } from '../../src/cli/decisions.ts';
import { drain } from '../../src/cli/drain.ts';
import type { DecisionView } from '../../src/control/decision-view.ts';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';
import { Http2Client } from '../support/http2-client.ts';
import { metric } from '../support/metrics.ts';
import { ask, RawConnection, request } from '../support/raw-client.ts';
import { until } from '../support/until.ts';
import { byPath, closedPort, echo, hang, startUpstream, status, type Upstream } from '../support/upstream.ts';

const FIELD = 'x-aya-explain';
const TOKEN = 'explain-me-canary-4711';
const ASK = { [FIELD]: TOKEN };

let gateway: GatewayFixture;
let good: Upstream;
let failing: Upstream;
let late: Upstream;
let picky: Upstream;
let dead: string;

/** Neither ejected nor checked: it stays as it is for as long as a test wants. */
const UNWATCHED = { passive: false };

beforeAll(async () => {
  good = await startUpstream(
    'good',
    byPath({
      lies: (_, response) => response.writeHead(200, { [FIELD]: 'a lie', 'content-length': '0' }).end(),
    }),
  );
  failing = await startUpstream('failing', status(503));
  late = await startUpstream('late', hang);
  picky = await startUpstream('picky', byPath({ refused: status(503) }));
  dead = `http://127.0.0.1:${await closedPort()}`;
  const many = Array.from({ length: 40 }, (_, at) => ({ url: `http://127.9.9.${at + 1}:9`, weight: 0 }));
  gateway = await gatewayFixture({
    gateway: { explain: { token: TOKEN, failures: 50 } },
    files: {
      'all.yaml': {
        pools: {
          half: { endpoints: [good.url, dead], balance: 'round-robin', health: UNWATCHED },
          good: { endpoints: [good.url, { url: dead, backup: true }], health: UNWATCHED },
          late: { endpoints: [good.url, late.url], balance: 'round-robin', health: UNWATCHED },
          sticky: {
            endpoints: [good.url, { url: failing.url, weight: 0 }],
            sticky: { cookie: 'where' },
            health: UNWATCHED,
          },
          moving: { endpoints: [good.url, picky.url], sticky: { cookie: 'moving' }, health: UNWATCHED },
          levels: { endpoints: [good.url, { url: dead, priority: 1 }], health: UNWATCHED },
          empty: { endpoints: [dead], health: UNWATCHED, fallback: { pool: 'good' } },
          many: { endpoints: [good.url, ...many], health: UNWATCHED },
          refusing: { endpoints: [dead], health: UNWATCHED },
          dead: {
            endpoints: [dead],
            health: {
              active: { path: '/', interval: '200ms', fastInterval: '50ms', unhealthyAfter: 2 },
              panic: { then: 'fail' },
            },
          },
          ejecting: {
            endpoints: [failing.url],
            health: {
              passive: { consecutiveFailures: 1, ejectFor: '1h', maxEjected: '100%' },
              panic: { then: 'fail' },
            },
          },
          broken: { endpoints: [failing.url], breaker: { consecutive: 2, openFor: '60s' }, health: UNWATCHED },
        },
        routes: [
          { name: 'half', match: { path: '/half/*' }, pool: 'half', retry: { attempts: 1, on: ['connect'] } },
          { name: 'good', match: { path: '/good/*' }, pool: 'good' },
          { name: 'seen', match: { path: '/good/*', headers: { [FIELD]: { present: true } } }, pool: 'dead' },
          { name: 'sticky', match: { path: '/sticky/*' }, pool: 'sticky' },
          { name: 'moving', match: { path: '/moving/*' }, pool: 'moving', retry: { attempts: 1, on: [503] } },
          {
            name: 'late',
            match: { path: '/late/*' },
            pool: 'late',
            hedge: { after: '20ms' },
          },
          { name: 'levels', match: { path: '/levels/*' }, pool: 'levels' },
          { name: 'empty', match: { path: '/empty/*' }, pool: 'empty', retry: false },
          { name: 'many', match: { path: '/many/*' }, pool: 'many' },
          {
            name: 'refusing',
            match: { path: '/refusing/*' },
            pool: 'refusing',
            retry: { attempts: 10, on: ['connect'], budget: '100%', backoff: { base: '1ms', max: '1ms' } },
          },
          { name: 'dead', match: { path: '/dead/*' }, pool: 'dead' },
          { name: 'ejecting', match: { path: '/ejecting/*' }, pool: 'ejecting', retry: false },
          { name: 'broken', match: { path: '/broken/*' }, pool: 'broken', retry: { attempts: 1, on: [503] } },
          { name: 'split', match: { path: '/split/*' }, split: [{ pool: 'good', weight: 1 }] },
          { name: 'old', match: { path: '/old' }, redirect: { path: '/new' } },
          { name: 'drawn', match: { path: '/drawn/*' }, pool: 'half', explain: { sample: '100%' } },
          { name: 'drawn-dead', match: { path: '/drawn-dead/*' }, pool: 'dead', explain: { sample: '100%' } },
        ],
      },
    },
  });
});

beforeEach(() => good.clear());

const get = (path: string, headers: Record<string, string> = {}) =>
  fetch(gateway.url + path, { headers, redirect: 'manual' });

const cookieOf = (answer: Response) => answer.headers.get('set-cookie')!.split(';', 1)[0]!;

/** What is kept of a path, once it has come. */
function kept(path: string, where = gateway): Promise<DecisionView> {
  return until(async () => {
    const page = JSON.parse((await where.admin('/decisions?limit=1000')).body) as { decisions: DecisionView[] };
    return page.decisions.find((decision) => decision.path === path);
  }, `the decision about ${path}`);
}

/** The whole record behind the short one in an answer. It is there a moment after the answer is complete. */
async function whole(short: string): Promise<DecisionView> {
  const id = /id="([^"]+)"/.exec(short)![1]!;
  return until(async () => {
    const { status: found, body } = await gateway.admin(`/decisions/${id}`);
    return found === 200 ? (JSON.parse(body) as DecisionView) : undefined;
  }, `the decision ${id}`);
}

/** Asks until the rotation has met the dead endpoint first. */
async function retried(path: string): Promise<string> {
  const first = await get(path, ASK);
  const answer = first.headers.get(FIELD)!.includes('connection_refused') ? first : await get(path, ASK);
  expect(answer.status).toBe(200);
  return answer.headers.get(FIELD)!;
}

describe('a request that asks', () => {
  it('reads in its answer where it went, by way of which failures', async () => {
    expect(await retried('/half/7')).toMatch(
      new RegExp(
        `^"half";id="[^"]+";pool="half";by=route, ` +
          `"${dead}";error="connection_refused";ms=[0-9.]+, "${good.url}";status=200;ms=[0-9.]+;passed-over="tried already 1"$`,
      ),
    );
  });

  it('is kept whole under its id: at each attempt who was considered, who passed over and why, and how it went', async () => {
    const short = await retried('/half/8?token=canary');
    const decision = await whole(short);
    expect(JSON.stringify(decision)).not.toContain('canary');
    expect(short).toContain(decision.requestId);
    expect(decision).toMatchObject({
      recorded: ['asked'],
      method: 'GET',
      path: '/half/8',
      route: 'half',
      pool: 'half',
      poolBy: 'route',
      status: 200,
      attempts: [
        {
          endpoint: dead,
          outcome: 'connection_refused',
          retriedAfterMs: 0,
          considered: [{ endpoint: dead, chosen: true, inFlight: 0, weight: 1 }, { endpoint: good.url }],
          passedOver: [],
        },
        {
          endpoint: good.url,
          outcome: 'status 200',
          considered: [{ endpoint: good.url, chosen: true }],
          passedOver: [{ endpoint: dead, reason: 'tried already' }],
        },
      ],
    });
  });

  it('learns what its balancer compared, and which backup was not needed', async () => {
    await get('/good/score', ASK);
    expect((await kept('/good/score')).attempts).toMatchObject([
      { considered: [{ endpoint: good.url, score: 0 }], passedOver: [{ endpoint: dead, reason: 'backup' }] },
    ]);
  });

  it('learns that it went where its session is', async () => {
    const first = await get('/sticky/first', ASK);
    expect((await whole(first.headers.get(FIELD)!)).attempts[0]!.session).toEqual({
      by: 'cookie:where',
      became: 'new',
    });
    const cookie = cookieOf(first);
    const second = await get('/sticky/second', { ...ASK, cookie });
    expect(second.headers.get(FIELD)).toContain(';session=stuck');
    expect(await whole(second.headers.get(FIELD)!)).toMatchObject({
      attempts: [{ endpoint: good.url, session: { by: 'cookie:where', became: 'stuck', endpoint: good.url } }],
    });
    const forged = await get('/sticky/third', { ...ASK, cookie: `${cookie}x` });
    expect((await whole(forged.headers.get(FIELD)!)).attempts[0]!.session!.became).toMatch(/^(forged|malformed)$/);
    expect((await whole((await get('/good/1', ASK)).headers.get(FIELD)!)).attempts[0]).not.toHaveProperty('session');
  });

  describe('whose session', () => {
    const where = () => ({ dir: gateway.dir, admin: gateway.adminUrl });
    const address = () => new URL(picky.url).host;
    let cookie: string;

    beforeAll(async () => {
      cookie = await until(async () => {
        const answer = await get('/moving/first', ASK);
        return answer.headers.get(FIELD)!.includes(picky.url) ? cookieOf(answer) : undefined;
      }, 'a session at the second endpoint');
    });

    it('is at an endpoint that drains learns from where it moves, and why', async () => {
      await drain('moving', address(), where());
      const answer = await get('/moving/drained', { ...ASK, cookie });
      await drain('moving', address(), { ...where(), undo: true });
      expect(answer.headers.get(FIELD)).toContain(';session=unavailable');
      const decision = await whole(answer.headers.get(FIELD)!);
      const session = { by: 'cookie:moving', became: 'unavailable', endpoint: picky.url };
      expect(decision.attempts[0]).toMatchObject({ endpoint: good.url, session });
      expect(decision.attempts[0]!.session!.why).toMatch(/^draining/);
      const told = (await explainRequest(decision.requestId, where())).out!;
      expect(told).toContain(`session by cookie:moving: moves from ${picky.url} with the answer: draining`);
    });

    it('is at an endpoint that fails learns that it moves with the further try', async () => {
      const answer = await get('/moving/refused', { ...ASK, cookie });
      expect(answer.status).toBe(200);
      const { attempts } = await whole(answer.headers.get(FIELD)!);
      expect(attempts).toMatchObject([
        { endpoint: picky.url, session: { became: 'stuck' } },
        {
          endpoint: good.url,
          session: { became: 'tried', endpoint: picky.url, why: 'tried already, by an attempt before this one' },
        },
      ]);
    });
  });

  it('learns that another endpoint was asked beside a late one, and was quicker', async () => {
    const short = await Promise.all([get('/late/1', ASK), get('/late/2', ASK)]);
    const decisions = await Promise.all(short.map((answer) => whole(answer.headers.get(FIELD)!)));
    const hedged = decisions.find(({ attempts }) => attempts.length > 1);
    expect(hedged!.attempts).toMatchObject([
      { endpoint: late.url, outcome: 'cancelled', hedgedAfterMs: 20 },
      { endpoint: good.url, outcome: 'status 200', passedOver: [{ endpoint: late.url, reason: 'tried already' }] },
    ]);
  });

  it('learns that those before took all, and which pool stood in for another', async () => {
    const levels = await whole((await get('/levels/1', ASK)).headers.get(FIELD)!);
    expect(levels.attempts[0]!.passedOver).toMatchObject([
      { endpoint: dead, reason: 'lower priority', why: 'lower priority: those before it take all' },
    ]);
    const answer = await get('/empty/1', ASK);
    expect(answer.headers.get(FIELD)).toContain('pool="good";by=fallback');
    const { attempts, fallback } = await whole(answer.headers.get(FIELD)!);
    expect(attempts).toMatchObject([
      { pool: 'empty', endpoint: dead, outcome: 'connection_refused' },
      { pool: 'good', endpoint: good.url, outcome: 'status 200' },
    ]);
    expect(fallback!.from).toBe('empty');
  });

  it('learns that a split chose its pool', async () => {
    expect((await get('/split/1', ASK)).headers.get(FIELD)).toContain('pool="good";by=split');
  });

  it('is told too where no pool was asked', async () => {
    const answer = await get('/old', ASK);
    expect(answer.status).toBe(302);
    expect(answer.headers.get(FIELD)).toMatch(/^"old";id="[^"]+"$/);
  });

  it('is told in a problem too: whose breaker is open, and when it is probed', async () => {
    for (let at = 0; at < 2; at++) await get('/broken/opens');
    const answer = await get('/broken/1', ASK);
    expect(answer.status).toBe(503);
    expect(answer.headers.get(FIELD)).toContain('none;error="destination_unavailable";passed-over="breaker open 1"');
    const { attempts } = await kept('/broken/1');
    expect(attempts).toMatchObject([{ endpoint: null, outcome: 'destination_unavailable', considered: [] }]);
    expect(attempts[0]!.passedOver).toMatchObject([{ endpoint: failing.url, reason: 'breaker open' }]);
    expect(attempts[0]!.passedOver![0]!.why).toMatch(/^breaker open, probe at 20\S+Z: 2 failures in a row; open for /);
  });

  it('is answered over HTTP/2 as over HTTP/1.1', async () => {
    const client = await Http2Client.connect(gateway.url);
    const told = await client.ask('/good/h2', [FIELD, TOKEN]);
    expect(told.headers[FIELD]).toContain(`"${good.url}";status=200`);
    expect((await client.ask('/good/h2')).headers[FIELD]).toBeUndefined();
  });

  it('reads what the gateway says, and not what an upstream says in its place', async () => {
    const answer = await ask(gateway.port, request('GET', '/good/lies', 'any.test', [`${FIELD}: ${TOKEN}`]));
    const names = answer.responses[0]!.fields.filter((_, at) => at % 2 === 0).map((name) => name.toLowerCase());
    expect(names.filter((name) => name === FIELD)).toHaveLength(1);
    expect(answer.responses[0]!.field(FIELD)).toMatch(/^"good"/);
  });
});

describe('a request that may not ask', () => {
  it.each([
    ['with another token', [`${FIELD}: explain-me-canary-4712`]],
    ['with none', [`${FIELD}: `]],
    ['with the token twice', [`${FIELD}: ${TOKEN}`, `${FIELD}: ${TOKEN}`]],
    ['under a name that services take for it', [`X_AYA_EXPLAIN: ${TOKEN}`]],
  ])('%s is served as if it had not asked', async (_, fields) => {
    const { responses } = await ask(gateway.port, request('GET', '/good/stranger', 'any.test', fields));
    expect(responses[0]!.status).toBe(200);
    expect(responses[0]!.field(FIELD)).toBeUndefined();
  });

  it('neither upstreams nor conditions ever see that somebody asked', async () => {
    for (const said of [TOKEN, 'a guess']) expect((await get('/good/unseen', { [FIELD]: said })).status).toBe(200);
    const client = await Http2Client.connect(gateway.url);
    await client.ask('/good/unseen', [FIELD, TOKEN]);
    expect(good.seen).toHaveLength(3);
    expect(JSON.stringify(good.seen.map(({ fields }) => fields)).toLowerCase()).not.toMatch(/explain|canary/);
  });
});

describe('a request that fails', () => {
  it('is kept although nobody asked: its attempts, and its pool as it was then', async () => {
    await until(async () => (await gateway.admin('/pools')).body.includes('active: 2/2'), 'the check has failed');
    expect((await get('/dead/1')).headers.get(FIELD)).toBeNull();
    const { reason, why } = (await kept('/dead/1')).atEnd!.passedOver[0]!;
    expect(await kept('/dead/1')).toMatchObject({ recorded: ['failed'], status: 503, attempts: [] });
    expect(reason).toBe('unhealthy');
    expect(why).toMatch(/^unhealthy since 20\S+Z: active: 2\/2 connection refused$/);
    // The same words everywhere.
    expect((await gateway.admin('/pools')).body).toContain(`"state": "${reason}"`);
    expect(await metric(gateway, 'aya_endpoint_status', `pool="dead",endpoint="${dead}",reason="${reason}"`)).toBe(1);
  });

  it('tells until when its endpoint is ejected', async () => {
    await get('/ejecting/first');
    await until(async () => (await gateway.admin('/pools')).body.includes('ejected for 3600 s'), 'the ejection');
    await get('/ejecting/second');
    expect((await kept('/ejecting/second')).atEnd!.passedOver[0]!.why).toMatch(
      /^ejected until 20\S+Z: passive: 1 failures in a row, last status 503; ejected for 3600 s$/,
    );
  });

  it('tells how each attempt went, and why there was no further one', async () => {
    await get('/broken/2', ASK);
    await get('/refusing/1');
    const { attempts, moreAttempts, error } = await kept('/refusing/1');
    expect(error).toBe('connection_refused');
    expect(attempts[0]).toMatchObject({ endpoint: dead, outcome: 'connection_refused' });
    expect(attempts[0]!.retriedAfterMs).toBeGreaterThanOrEqual(0);
    // Eleven were made.
    expect([attempts.length, moreAttempts]).toEqual([8, 3]);
    expect(attempts.at(-1)).toMatchObject({ outcome: 'connection_refused', notRetried: 'attempts' });
    expect(attempts.at(-2)!.notRetried).toBeUndefined();
  });

  it('is not kept when an upstream says 5xx at the first attempt: that is its answer', async () => {
    const fixture = await gatewayFixture({
      files: {
        'one.yaml': {
          pools: { one: { endpoints: [failing.url], health: UNWATCHED } },
          routes: [{ name: 'one', match: { path: '/*' }, pool: 'one', retry: false }],
        },
      },
    });
    await fetch(`${fixture.url}/passed-on`);
    await fixture.write('one.yaml', {
      pools: { one: { endpoints: [dead], health: UNWATCHED } },
      routes: [{ name: 'one', match: { path: '/*' }, pool: 'one', retry: false }],
    });
    await fixture.reload();
    await fetch(`${fixture.url}/refused`);
    await kept('/refused', fixture);
    expect((await fixture.admin('/decisions')).body).not.toContain('passed-on');
  });
});

describe('what is kept', () => {
  it('is listed with the newest first, and found by route, pool and status', async () => {
    await get('/dead/older');
    await kept('/dead/older');
    await get('/refusing/newer');
    await kept('/refusing/newer');
    const list = async (query: string) =>
      (JSON.parse((await gateway.admin(`/decisions?${query}`)).body) as { decisions: DecisionView[] }).decisions;
    expect((await list('limit=2')).map(({ path }) => path)).toEqual(['/refusing/newer', '/dead/older']);
    expect(new Set((await list('route=dead')).map(({ route }) => route))).toEqual(new Set(['dead']));
    expect(new Set((await list('pool=refusing')).map(({ pool }) => pool))).toEqual(new Set(['refusing']));
    expect(new Set((await list('status=502')).map((one) => one.status))).toEqual(new Set([502]));
    expect((await list('status=5xx&recorded=failed')).every((one) => one.status >= 500)).toBe(true);
    expect(await list('route=none')).toEqual([]);
  });

  it.each([
    ['/decisions?rute=x', 400, 'none of route, pool, status, recorded, limit'],
    ['/decisions?status=many', 400, 'status is one such as 503, or 5xx'],
    ['/decisions?limit=-1', 400, 'limit is a number'],
    ['/decisions?recorded=sampled', 400, 'failed or asked'],
    ['/decisions/unknown', 404, 'no decision with this request id is kept'],
    ['/decisions/%ff', 400, ''],
  ])('%s is told what is wrong', async (path, expected, said) => {
    const { status: answered, body } = await gateway.admin(path);
    expect(answered).toBe(expected);
    expect(body).toContain(said);
  });

  it('is bounded: of a large pool, of long paths, in the answer and in number', async () => {
    const path = `/many/${'x'.repeat(4000)}`;
    const answer = await get(path, ASK);
    expect(answer.headers.get(FIELD)!.length).toBeLessThanOrEqual(1024);
    const decision = await whole(answer.headers.get(FIELD)!);
    expect(decision.path.length).toBe(256);
    expect(decision.attempts[0]).toMatchObject({
      considered: [{ endpoint: good.url, chosen: true }],
      morePassedOver: 24,
    });
    expect(decision.attempts[0]!.passedOver).toHaveLength(16);

    const long = await get('/refusing/long', ASK);
    expect(long.headers.get(FIELD)).toMatch(/, more;attempts=\d+$/);
    expect(long.headers.get(FIELD)!.length).toBeLessThanOrEqual(1024);
    await whole(long.headers.get(FIELD)!);
  });

  it('counts what found no room in a storm, and loses nothing of who asked', async () => {
    const uncounted = async () =>
      (await metric(gateway, 'aya_requests_total', 'route="dead"')) -
      (await metric(gateway, 'aya_decisions_total', 'failed')) -
      (await metric(gateway, 'aya_decisions_dropped_total'));
    const before = await uncounted();
    await Promise.all(Array.from({ length: 300 }, (_, at) => get(`/dead/storm-${at}`)));
    await get('/dead/asked', ASK);
    expect(await kept('/dead/asked')).toMatchObject({ recorded: ['asked', 'failed'] });
    await until(async () => (await uncounted()) === before, 'each is counted');
    const { body } = await gateway.admin('/decisions?recorded=failed&limit=1000');
    const listed = body.match(/"requestId"/g)!.length;
    // Some of those that failed are kept because they asked.
    expect(listed).toBeGreaterThanOrEqual(50);
    expect(listed).toBeLessThanOrEqual(100);
  });
});

describe('a request that is drawn', () => {
  it('is one line in the log, linked to its request by the id', async () => {
    const answer = (await (await get('/drawn/1?token=canary')).json()) as { fields: string[] };
    const id = answer.fields[answer.fields.indexOf('x-request-id') + 1];
    const line = await until(() => gateway.logs.find((log) => log['requestId'] === id), 'its line');
    expect(line).toMatchObject({ event: 'decision', route: 'drawn', path: '/drawn/1', recorded: ['sampled'] });
    expect(line['attempts']).toMatchObject([{}, {}].slice(0, (line['attempts'] as unknown[]).length));
    expect(JSON.stringify(line)).not.toContain('canary');
    const lines = gateway.logs.filter((log) => (log['recorded'] as string[] | undefined)?.includes('sampled'));
    expect(await metric(gateway, 'aya_decisions_total', 'sampled')).toBe(lines.length);
  });

  it('has in its line what the control plane alone knows, and is kept too where it fails', async () => {
    await until(async () => (await gateway.admin('/pools')).body.includes('active: 2/2'), 'the check has failed');
    await get('/drawn-dead/1');
    const { time, ...decision } = await kept('/drawn-dead/1');
    expect(decision.recorded).toEqual(['sampled', 'failed']);
    const [attempt] = decision.attempts;
    expect(attempt!.passedOver![0]!.why).toMatch(/^unhealthy since 20\S+Z: active: 2\/2 connection refused$/);
    const line = gateway.logs.find((log) => log['requestId'] === decision.requestId);
    expect(line).toMatchObject({ ...decision, level: 30, event: 'decision', startedAt: time, msg: 'decision' });
  });

  it('just before the end is in the log all the same', async () => {
    const ending = await gatewayFixture({
      files: {
        'one.yaml': {
          pools: { one: { endpoints: [good.url] } },
          routes: [{ name: 'one', match: { path: '/*' }, pool: 'one', explain: { sample: '100%' } }],
        },
      },
    });
    await fetch(`${ending.url}/last`);
    await ending.close();
    expect(ending.logs.some((log) => log['event'] === 'decision' && log['path'] === '/last')).toBe(true);
  });

  it('others are not', async () => {
    await get('/good/undrawn');
    await get('/drawn/after');
    await until(() => gateway.logs.some((log) => log['path'] === '/drawn/after'), 'the next line');
    expect(gateway.logs.some((log) => log['path'] === '/good/undrawn')).toBe(false);
  });
});

describe('on the command line', () => {
  it('aya decisions lists them, and aya explain --request tells all of one', async () => {
    const where = { dir: gateway.dir, admin: gateway.adminUrl };
    await get('/broken/told', ASK);
    const { requestId } = await kept('/broken/told');
    const { out } = await decisions({ ...where, route: 'broken', limit: '1' });
    expect(out).toMatch(/503 +GET \S+\/broken\/told +broken +destination_unavailable +\S+/);
    const told = (await explainRequest(requestId, where)).out!;
    expect(told).toContain('was answered 503');
    expect(told).toContain('recorded because it asked and it failed');
    expect(told).toContain("route broken: pool broken, the route's own");
    expect(told).toMatch(/passed over {2}http:\S+ {2}breaker open, probe at /);
    await expect(explainRequest('nobody', where)).rejects.toThrow('no decision with this request id is kept');
    await expect(decisions({ ...where, status: 'x' })).rejects.toThrow('status is one such as');
  });
});

describe('the token', () => {
  it('shows nowhere: not in the configuration, the log, the decisions', async () => {
    await get('/good/secret', ASK);
    const pages = await Promise.all(
      ['/config', '/decisions?limit=1000', '/metrics'].map((path) => gateway.admin(path)),
    );
    for (const { body } of pages) expect(body).not.toContain(TOKEN);
    expect(JSON.stringify(gateway.logs)).not.toContain(TOKEN);
  });
});

describe('over threads and reloads', () => {
  it('all threads tell, and a reload changes who may ask and how much is kept', async () => {
    const upstream = await startUpstream('fleet', echo);
    const explain = (settings: object) => ({
      listen: [{ host: '127.0.0.1', port: 0 }],
      admin: { host: '127.0.0.1', port: 0 },
      accessLog: { enabled: false },
      drain: { delay: '0ms', timeout: '5s' },
      threads: 2,
      explain: settings,
    });
    const fleet = await gatewayFixture({
      gateway: explain({ from: ['127.0.0.0/8'] }),
      files: {
        'fleet.yaml': {
          pools: { fleet: { endpoints: [upstream.url, dead], health: UNWATCHED } },
          routes: [{ name: 'fleet', match: { path: '/*' }, pool: 'fleet' }],
        },
      },
    });
    const { port } = fleet;
    const once = async (fields: readonly string[]) => {
      const connection = await RawConnection.open(port);
      connection.send(request('GET', '/', 'any.test', fields));
      return connection.answer().finally(() => connection.close());
    };
    // Without a token the network says enough, whatever the field says.
    await until(async () => {
      expect((await once([`${FIELD}: 1`])).field(FIELD)).toMatch(/^"fleet"/);
      const page = JSON.parse((await fleet.admin('/decisions?limit=1000')).body) as { decisions: DecisionView[] };
      return new Set(page.decisions.map(({ thread }) => thread)).size === 2;
    }, 'decisions of both threads');

    await fleet.write('../gateway.yaml', explain({ from: ['127.0.0.0/8'], token: TOKEN, failures: 1 }));
    expect((await fleet.reload()).status).toBe(200);
    expect((await once([`${FIELD}: 1`])).field(FIELD)).toBeUndefined();
    expect((await once([`${FIELD}: ${TOKEN}`])).field(FIELD)).toMatch(/^"fleet"/);
    await until(async () => (await fleet.admin('/decisions')).body.match(/requestId/g)?.length === 1, 'one is kept');

    await fleet.write('../gateway.yaml', explain({ from: ['10.0.0.0/8'], token: TOKEN, failures: 0 }));
    expect((await fleet.reload()).status).toBe(200);
    expect((await once([`${FIELD}: ${TOKEN}`])).field(FIELD)).toBeUndefined();
    expect((await fleet.admin('/decisions')).body).not.toContain('requestId');

    await fleet.write('../gateway.yaml', explain({}));
    expect((await fleet.reload()).status).toBe(200);
    expect((await once([`${FIELD}: ${TOKEN}`])).field(FIELD)).toBeUndefined();
  });
});
