import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import Value from 'typebox/value';
import { seededRandom } from '../../src/clock.ts';
import type { RouteConfig } from '../../src/config/schema.ts';
import type { Control, Dispatch } from '../../src/data/dispatch.ts';
import { GatewayError } from '../../src/errors.ts';
import type { PluginContext } from '../../src/extension.ts';
import { EndpointTable } from '../../src/memory/endpoint-table.ts';
import { LatencyQuantile } from '../../src/upstream/latency-quantile.ts';
import { budgetOf, Counted } from '../../test/support/budget.ts';
import { FakeClock } from '../../test/support/fake-clock.ts';
import { Heard, Scripted, type Play, type ScriptedOptions } from '../../test/support/scripted-dispatch.ts';
import hedge from './index.ts';
import schema, { type HedgeConfig } from './schema.ts';

type Options = Partial<ScriptedOptions> & { config?: Partial<HedgeConfig>; route?: object };

const CLIENT_LEFT = new GatewayError('connection_terminated', 'the client left');
const DEFAULTS: HedgeConfig = { after: 50, max: 1 };

function send(script: readonly Play[], options: Options = {}) {
  const clock = options.clock ?? new FakeClock();
  const scripted = new Scripted(script, { ...options, clock });
  const counted = new Counted();
  const route = { retry: { attempts: 2, budget: 1 }, ...options.route };
  const context = { clock, random: seededRandom(1), counter: counted.counter, route } as unknown as PluginContext;
  const heard = new Heard();
  const layer = hedge.create({ ...DEFAULTS, ...options.config }, context).layer!;
  layer(scripted.dispatch)(scripted.request, heard);
  const answered = () => heard.events.filter((event) => event !== 'start');
  return { clock, scripted, heard, counted, answered, rows: () => scripted.tried.map(({ row }) => row) };
}

/** Answers so many milliseconds after it was asked. */
const after =
  (clock: FakeClock, ms: number, status: number): Play =>
  (scripted) =>
    void clock.after(ms, () => scripted.answer(status));

const failsAfter =
  (clock: FakeClock, ms: number): Play =>
  (scripted) =>
    void clock.after(ms, () => scripted.fail('connection_terminated'));

describe('an answer in time', () => {
  it('is passed on, and nobody else is asked', () => {
    const clock = new FakeClock();
    const { answered, rows } = send([after(clock, 49, 200)], { clock });
    clock.advance(1_000);
    expect(answered()).toEqual(['head 200', 'body of 200', 'end']);
    expect(rows()).toEqual([0]);
    expect(clock.pending).toBe(0);
  });

  it('is passed on at once also when it is a failure: that is for retries', () => {
    for (const play of [503, 'connection_terminated'] as const) {
      const { clock, answered, rows } = send([play, 200]);
      clock.advance(1_000);
      expect(answered()[0]).toBe(play === 503 ? 'head 503' : 'error connection_terminated');
      expect(rows()).toEqual([0]);
      expect(clock.pending).toBe(0);
    }
  });
});

describe('a late answer', () => {
  it('is asked for at another endpoint, and that one’s is passed on; the first is given up', () => {
    const { clock, scripted, answered, rows, counted } = send(['hang', 200]);
    clock.advance(49);
    expect(rows()).toEqual([0]);
    clock.advance(1);
    expect(rows()).toEqual([0, 1]);
    expect(answered()).toEqual(['head 200', 'body of 200', 'end']);
    expect(scripted.aborted).toMatchObject([{ type: 'http_response_timeout', retry: 'never' }]);
    expect(scripted.request.endpoint?.row).toBe(1);
    expect(scripted.request.exchange.hedges).toBe(1);
    expect(scripted.request.exchange.retries).toBe(0);
    expect(counted.values).toEqual({ won: 1 });
    expect(clock.pending).toBe(0);
  });

  it('wins when it comes before the other one’s, which is given up', () => {
    const clock = new FakeClock();
    const { answered, scripted, counted } = send([after(clock, 60, 200), 'hang'], { clock });
    clock.advance(1_000);
    expect(answered()).toEqual(['head 200', 'body of 200', 'end']);
    expect(scripted.aborted).toHaveLength(1);
    expect(scripted.request.endpoint?.row).toBe(0);
    expect(counted.values).toEqual({ lost: 1 });
  });

  it('is not passed on when it is a failure while another may be good', () => {
    for (const play of [(clock: FakeClock) => after(clock, 60, 503), (clock: FakeClock) => failsAfter(clock, 60)]) {
      const clock = new FakeClock();
      const { answered, counted, scripted } = send([play(clock), after(clock, 100, 200)], { clock });
      clock.advance(1_000);
      expect(answered()).toEqual(['head 200', 'body of 200', 'end']);
      expect(scripted.request.endpoint?.row).toBe(1);
      expect(counted.values).toEqual({ won: 1 });
    }
  });

  it('is what is passed on when the other is a failure', () => {
    const clock = new FakeClock();
    const { answered, counted } = send([after(clock, 100, 200), 503], { clock });
    clock.advance(1_000);
    expect(answered()).toEqual(['head 200', 'body of 200', 'end']);
    expect(counted.values).toEqual({ lost: 1 });
  });

  it('is the last failure when both are, and retries learn who was tried', () => {
    const clock = new FakeClock();
    const { answered, scripted, heard } = send([failsAfter(clock, 60), failsAfter(clock, 70)], { clock });
    clock.advance(1_000);
    expect(answered()).toEqual(['error connection_terminated']);
    expect(heard.events).toEqual(['start', 'error connection_terminated']);
    expect(scripted.request.endpoint?.row).toBe(1);
    expect(scripted.request.tried?.map(({ row }) => row)).toEqual([0]);
  });

  it('is asked for as often as the route allows, each at an endpoint of its own', () => {
    const { clock, rows, answered, counted } = send(['hang', 'hang', 'hang', 200], {
      config: { max: 3 },
      endpoints: 5,
    });
    clock.advance(149);
    expect(rows()).toEqual([0, 1, 2]);
    clock.advance(1);
    expect(rows()).toEqual([0, 1, 2, 3]);
    expect(answered()).toEqual(['head 200', 'body of 200', 'end']);
    expect(counted.values).toEqual({ won: 1, lost: 2 });
  });
});

describe('a failure on a client that left', () => {
  it('ends all that is under way, once', () => {
    const { clock, heard, scripted, counted } = send(['hang', 'hang']);
    clock.advance(50);
    heard.control!.abort(CLIENT_LEFT);
    heard.control!.abort(CLIENT_LEFT);
    clock.advance(1_000);
    expect(scripted.aborted).toEqual([CLIENT_LEFT, CLIENT_LEFT]);
    expect(heard.events).toEqual(['start', 'error connection_terminated']);
    expect(counted.values).toEqual({ lost: 1 });
    expect(clock.pending).toBe(0);
  });

  it('ends a try that begins late, because something below held it back', () => {
    const clock = new FakeClock();
    const { counter } = new Counted();
    const context = { clock, counter, route: {} } as unknown as PluginContext;
    const heard = new Heard();
    let begin = (_control: Control) => {};
    const holding: Dispatch = (_request, handler) => (begin = (control) => handler.onStart(control));
    hedge.create(DEFAULTS, context).layer!(holding)(new Scripted([200], { clock }).request, heard);
    heard.control!.abort(CLIENT_LEFT);
    const reasons: GatewayError[] = [];
    begin({ pause() {}, resume() {}, keepBytes: () => () => {}, abort: (reason) => reasons.push(reason) });
    expect(reasons).toHaveLength(1);
    expect(heard.events).toEqual(['start', 'error connection_terminated']);
  });
});

describe('nobody else is asked', () => {
  const isAlone = (options: Options, script: readonly Play[] = ['hang', 200]) => {
    const { clock, rows, counted } = send(script, options);
    clock.advance(1_000);
    expect(rows()).toEqual([0]);
    return counted;
  };

  it.each(['POST', 'PATCH', 'CONNECT'])('for a %s', (method) => {
    expect(isAlone({ method }).values).toEqual({});
  });

  it('when the body streams', () => {
    isAlone({ method: 'PUT', body: new PassThrough() });
    const { clock, rows } = send(['hang', 200], { method: 'PUT', body: Buffer.from('order') });
    clock.advance(50);
    expect(rows()).toEqual([0, 1]);
  });

  it('for a WebSocket, a call of gRPC, or where sessions keep clients at endpoints', () => {
    for (const [key, on] of [
      ['upgrade', 'request'],
      ['grpc', 'exchange'],
      ['sticky', 'pool'],
    ] as const) {
      const clock = new FakeClock();
      const scripted = new Scripted(['hang', 200], { clock });
      const { exchange, pool } = scripted.request;
      Object.assign({ request: scripted.request, exchange, pool }[on], { [key]: {} });
      const context = { clock, counter: new Counted().counter, route: {} } as unknown as PluginContext;
      hedge.create(DEFAULTS, context).layer!(scripted.dispatch)(scripted.request, new Heard());
      clock.advance(1_000);
      expect(scripted.tried).toHaveLength(1);
    }
  });

  it('when there is no other endpoint', () => {
    expect(isAlone({ endpoints: 1 }).values).toEqual({ endpoint: 1 });
  });

  it('when the budget is spent, which is the one of retries', () => {
    const clock = new FakeClock();
    const budget = budgetOf(clock);
    for (let taken = 0; taken < 3; taken++) budget.ask(0.2);
    expect(isAlone({ clock, budget, route: { retry: { attempts: 2, budget: 0.2 } } }).values).toEqual({ budget: 1 });
  });

  it('when as many as may be are under way, until one is over', () => {
    const clock = new FakeClock();
    const budget = budgetOf(clock, { active: () => 1 });
    for (let request = 0; request < 1_000; request++) budget.recordRequest(clock.now());
    const route = { retry: { attempts: 2, budget: 0.2 } };
    const open = [1, 2, 3].map(() => send(['hang', 'hang'], { clock, budget, route }));
    clock.advance(50);
    expect(isAlone({ clock, budget, route }).values).toEqual({ crowded: 1 });
    open[0]!.heard.control!.abort(CLIENT_LEFT);
    const next = send(['hang', 200], { clock, budget, route });
    clock.advance(50);
    expect(next.answered()).toEqual(['head 200', 'body of 200', 'end']);
  });

  it('on a pool of which too little is known', () => {
    isAlone({ config: { after: 'p95' } });
  });
});

describe('the pool’s 95th percentile', () => {
  it('is when another is asked, and is learnt from good answers alone', () => {
    const clock = new FakeClock();
    const p95 = new LatencyQuantile(EndpointTable.allocate(1, 1).budgets, 0);
    const config = { after: 'p95' } as const;
    for (let at = 0; at < 200; at++) {
      send([after(clock, 20, 200)], { clock, p95, config });
      send([503], { clock, p95, config });
      clock.advance(20);
    }
    const learnt = p95.ms!;
    expect(learnt).toBeGreaterThan(15);
    expect(learnt).toBeLessThan(30);
    const { rows } = send(['hang', 200], { clock, p95, config });
    clock.advance(Math.ceil(learnt) - 1);
    expect(rows()).toEqual([0]);
    clock.advance(1);
    expect(rows()).toEqual([0, 1]);
  });
});

describe('where the route has no retries', () => {
  it('requests are counted here, and a fifth of them is the budget', () => {
    const clock = new FakeClock();
    const budget = budgetOf(clock);
    const route = { retry: false };
    const all = Array.from({ length: 100 }, () => send(['hang', 'hang'], { clock, budget, route }));
    clock.advance(50);
    expect(all.filter(({ rows }) => rows().length === 2)).toHaveLength(20);
  });
});

describe('the options', () => {
  const accepts = (options: unknown) => Value.Check(schema, Value.Default(schema, options));
  const TIMEOUT = { head: 15_000, idle: 60_000, streamIdle: 300_000 };
  const faultsOf = (config: Partial<HedgeConfig>, route: object = {}) =>
    hedge.check!({ ...DEFAULTS, ...config }, { match: [{}], timeout: TIMEOUT, ...route } as RouteConfig, new Set());

  it('are a time or the word, and false', () => {
    for (const right of [{}, { after: '50ms' }, { after: 'p95', max: 4 }, false]) expect(accepts(right)).toBe(true);
    for (const wrong of [{ after: 'p99' }, { after: 50 }, { max: 0 }, { max: 5 }, { delay: '5ms' }, true]) {
      expect(accepts(wrong)).toBe(false);
    }
    expect(Value.Decode(schema, Value.Default(schema, {}))).toEqual({ after: 'p95', max: 1 });
    expect(hedge.create(false, {} as PluginContext)).toEqual({});
  });

  it.each([
    ['methods of which none is idempotent', {}, { match: [{ methods: ['POST', 'PATCH'] }] }, '', undefined],
    ['a time that leaves none', { after: 20_000 }, {}, 'after', undefined],
    ['a time as long as one try', { after: 500 }, { timeout: { ...TIMEOUT, perTry: 500 } }, 'after', undefined],
    ['a budget of nothing', {}, { retry: { budget: 0 } }, '', 'warning'],
  ] as const)('are told: %s', (_, config, route, path, severity) => {
    expect(faultsOf(config, route).map((fault) => [fault.path.join('.'), fault.severity])).toEqual([[path, severity]]);
  });

  it('are fine where some request can be sent twice', () => {
    expect(faultsOf({})).toEqual([]);
    expect(faultsOf({}, { match: [{ methods: ['POST', 'PUT'] }] })).toEqual([]);
    expect(faultsOf({}, { match: [{ methods: ['POST'] }, {}] })).toEqual([]);
  });
});
