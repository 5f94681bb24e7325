import { PassThrough, Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import Value from 'typebox/value';
import { seededRandom } from '../../src/clock.ts';
import type { Control, Dispatch } from '../../src/data/dispatch.ts';
import { GatewayError } from '../../src/errors.ts';
import type { RouteConfig } from '../../src/config/schema.ts';
import type { PluginContext } from '../../src/extension.ts';
import { budgetOf, Counted } from '../../test/support/budget.ts';
import { FakeClock } from '../../test/support/fake-clock.ts';
import { Heard, Scripted, type Play, type ScriptedOptions } from '../../test/support/scripted-dispatch.ts';
import retry from './index.ts';
import schema, { type RetryConfig } from './schema.ts';

type Options = Partial<ScriptedOptions> & { config?: Partial<RetryConfig>; seed?: number };

const DEFAULTS: RetryConfig = Value.Decode(schema, Value.Default(schema, undefined)) as RetryConfig;
const CLIENT_LEFT = new GatewayError('connection_terminated', 'the client left');

/** Sends one request down a retry layer to a script. */
function send(script: readonly Play[], options: Options = {}) {
  const clock = options.clock ?? new FakeClock();
  const scripted = new Scripted(script, { ...options, clock });
  const counted = new Counted();
  const { counter } = counted;
  const context = { clock, random: seededRandom(options.seed ?? 1), counter } as unknown as PluginContext;
  const heard = new Heard();
  retry.create({ ...DEFAULTS, ...options.config }, context).layer!(scripted.dispatch)(scripted.request, heard);
  return {
    clock,
    scripted,
    heard,
    counted,
    tries: () => scripted.tried.length,
    rows: () => scripted.tried.map((one) => one.row),
  };
}

describe('which failures are tried again', () => {
  it('passes an answer on as it is', () => {
    const { heard, tries } = send([200]);
    expect(heard.events).toEqual(['start', 'head 200', 'body of 200', 'end']);
    expect(tries()).toBe(1);
  });

  it.each(['GET', 'POST', 'PATCH'])('a refused connection, for %s: nothing was sent', (method) => {
    const { heard, rows } = send(['connection_refused', 200], { method });
    expect(heard.events).toEqual(['start', 'head 200', 'body of 200', 'end']);
    expect(rows()).toEqual([0, 1]);
  });

  it.each(['dns_error', 'connection_timeout', 'tls_certificate_error', 'tls_protocol_error'] as const)(
    '%s, as connect',
    (type) => {
      expect(send([type, 200], { method: 'POST' }).tries()).toBe(2);
      expect(send([type, 200], { config: { on: ['reset'] } }).tries()).toBe(1);
    },
  );

  it.each(['connection_terminated', 'http_response_incomplete', 'http_protocol_error'] as const)(
    '%s, as reset',
    (type) => {
      const { clock, tries } = send([type, 200]);
      clock.advance(25);
      expect(tries()).toBe(2);
    },
  );

  it('a timeout, only where it is asked for', () => {
    const named = send(['http_response_timeout', 200], { config: { on: ['timeout'] } });
    named.clock.advance(25);
    expect(named.heard.events).toContain('head 200');
    const unnamed = send(['http_response_timeout', 200]);
    unnamed.clock.advance(1_000);
    expect(unnamed.heard.events).toEqual(['start', 'error http_response_timeout']);
  });

  it('never a POST that may have been processed', () => {
    const config: Partial<RetryConfig> = { on: ['reset', 'timeout', 503] };
    for (const play of ['connection_terminated', 'http_response_timeout', 503] as const) {
      const { clock, tries, heard } = send([play, 200], { method: 'POST', config });
      clock.advance(1_000);
      expect(tries()).toBe(1);
      expect(heard.events.at(-1)).toBe(play === 503 ? 'end' : `error ${play}`);
    }
  });

  it.each([
    'destination_unavailable',
    'connection_limit_reached',
    'http_request_denied',
    'http_response_header_section_size',
  ] as const)('never %s', (type) => {
    const { clock, tries } = send([type, 200]);
    clock.advance(1_000);
    expect(tries()).toBe(1);
  });

  it('nothing after the head has been passed on', () => {
    const { clock, heard, tries } = send([
      (scripted) => {
        scripted.head(200);
        scripted.data('half');
        scripted.fail('http_response_incomplete');
      },
      200,
    ]);
    clock.advance(1_000);
    expect(heard.events).toEqual(['start', 'head 200', 'half', 'error http_response_incomplete']);
    expect(tries()).toBe(1);
  });

  it('still after an interim answer, which is no answer', () => {
    const { clock, heard } = send([
      (scripted) => {
        scripted.inform(103);
        scripted.fail('connection_terminated');
      },
      200,
    ]);
    clock.advance(25);
    expect(heard.events).toEqual(['start', 'information 103', 'head 200', 'body of 200', 'end']);
  });
});

describe('statuses', () => {
  const config: Partial<RetryConfig> = { on: [502, 503] };

  it('are withheld and tried again, the discarded answer being closed', () => {
    const { clock, heard, scripted } = send([503, 200], { config });
    expect(heard.events).toEqual(['start']);
    clock.advance(25);
    expect(heard.events).toEqual(['start', 'head 200', 'body of 200', 'end']);
    expect(scripted.aborted).toHaveLength(1);
  });

  it('that are not named pass', () => {
    expect(send([500], { config }).heard.events).toContain('head 500');
  });

  it('reach the client as they are when no further try is left', () => {
    const { clock, heard, tries } = send([503, 502, 503], { config });
    clock.advance(1_000);
    expect(tries()).toBe(3);
    expect(heard.events).toEqual(['start', 'head 503', 'body of 503', 'end']);
  });
});

describe('how often, where and when', () => {
  it('as often as attempts says, counted on the exchange', () => {
    for (const attempts of [1, 2, 5]) {
      const { clock, scripted, tries, heard } = send(['connection_refused'], { config: { attempts, budget: 1 } });
      clock.advance(10_000);
      expect(tries()).toBe(attempts + 1);
      expect(scripted.request.exchange.retries).toBe(attempts);
      expect(heard.events).toEqual(['start', 'error connection_refused']);
    }
  });

  it('not at all, and without a layer, when it is off', () => {
    expect(retry.create(false, {} as PluginContext)).toEqual({});
    expect(retry.create({ ...DEFAULTS, attempts: 0 }, {} as PluginContext)).toEqual({});
  });

  it('at every endpoint before any a second time, and never twice in a row at one', () => {
    const all = send(['connection_refused'], { config: { attempts: 5, budget: 1 } });
    all.clock.advance(10_000);
    expect(new Set(all.rows().slice(0, 3)).size).toBe(3);
    all
      .rows()
      .slice(1)
      .forEach((row, before) => expect(row).not.toBe(all.rows()[before]));
  });

  it('at the only endpoint again, after a wait', () => {
    const { clock, rows } = send(['connection_refused', 200], { endpoints: 1 });
    expect(rows()).toEqual([0]);
    clock.advance(25);
    expect(rows()).toEqual([0, 0]);
  });

  it('at once the first time when nothing was sent, then after a jittered wait that doubles up to its limit', () => {
    const backoff = { base: 100, max: 300 };
    for (let seed = 1; seed <= 20; seed++) {
      const { clock, scripted } = send(['connection_refused'], {
        seed,
        config: { attempts: 5, budget: 1, backoff },
        endpoints: 9,
      });
      clock.advance(10_000);
      const waits = scripted.tried.slice(1).map((one, before) => one.at - scripted.tried[before]!.at);
      expect(waits[0]).toBe(0);
      [200, 300, 300, 300].forEach((limit, at) => {
        expect(waits[at + 1]).toBeGreaterThan(0);
        expect(waits[at + 1]).toBeLessThan(limit);
      });
    }
  });

  it('spread out, when a hundred clients fail together', () => {
    const clock = new FakeClock();
    const random = seededRandom(7);
    const waits = Array.from({ length: 100 }, () => {
      const { scripted } = send(['connection_terminated', 200], { clock, seed: Math.floor(random() * 1e9) });
      return scripted;
    });
    const began = clock.now();
    clock.advance(25);
    const at = waits.map((scripted) => scripted.tried[1]!.at - began);
    for (let slot = 0; slot < 5; slot++) {
      const inSlot = at.filter((ms) => ms >= slot * 5 && ms < slot * 5 + 5).length;
      expect(inSlot).toBeGreaterThan(8);
      expect(inSlot).toBeLessThan(35);
    }
  });

  it('not when the wait would outlast the time for the head', () => {
    const backoff = { base: 250, max: 250 };
    for (let seed = 1; seed <= 20; seed++) {
      const { clock, scripted, heard } = send(['connection_terminated'], {
        seed,
        headMs: 100,
        config: { backoff, attempts: 10, budget: 1 },
      });
      const began = clock.now();
      clock.advance(10_000);
      expect(Math.max(...scripted.tried.map((one) => one.at - began))).toBeLessThan(100);
      expect(heard.events).toEqual(['start', 'error connection_terminated']);
    }
  });
});

describe('the budget', () => {
  it('holds all tries under a full outage to 1.1 times the requests: those that fail as well are charged twice', () => {
    const clock = new FakeClock();
    const budget = budgetOf(clock);
    let tries = 0;
    const all = Array.from({ length: 1_000 }, (_, seed) => {
      clock.advance(10);
      return send([503], { clock, budget, seed, config: { on: [503] } });
    });
    clock.advance(10_000);
    for (const one of all) {
      tries += one.tries();
      expect(one.heard.events).toEqual(['start', 'head 503', 'body of 503', 'end']);
    }
    expect(tries).toBeLessThanOrEqual(1_110);
    expect(tries).toBeGreaterThan(1_080);
  });

  it('still lets the only request of a quiet pool have its tries', () => {
    const { clock, tries } = send(['connection_refused']);
    clock.advance(1_000);
    expect(tries()).toBe(3);
  });
});

describe('a pool in which as many retries as may be are under way', () => {
  const config: Partial<RetryConfig> = { on: ['reset', 503] };
  const crowd = () => {
    const clock = new FakeClock();
    const budget = budgetOf(clock, { active: () => 1 });
    for (let request = 0; request < 1_000; request++) budget.recordRequest(clock.now());
    for (let place = 0; place < 3; place++) expect(budget.ask(0.2)).toBe('granted');
    return { clock, budget };
  };

  it('passes a failure on that was answered', () => {
    const { clock, budget } = crowd();
    const { heard, counted } = send([503, 200], { clock, budget, config });
    expect(heard.events).toEqual(['start', 'head 503', 'body of 503', 'end']);
    expect(counted.values).toEqual({ crowded: 1 });
  });

  it('has one that was not answered wait for a place', () => {
    const { clock, budget } = crowd();
    const { heard, tries, scripted } = send(['connection_terminated', 200], { clock, budget, config });
    clock.advance(5_000);
    expect(tries()).toBe(1);
    expect(scripted.request.exchange.retries).toBe(0);
    budget.leave();
    clock.advance(250);
    expect(heard.events).toEqual(['start', 'head 200', 'body of 200', 'end']);
  });

  it('has it wait no longer than there is time, and leaves no timer behind', () => {
    const { clock, budget } = crowd();
    const { heard, counted } = send(['connection_terminated'], { clock, budget, config, headMs: 2_000 });
    const began = clock.now();
    while (heard.error === undefined) clock.advance(10);
    expect(clock.now() - began).toBeLessThanOrEqual(2_000);
    expect(heard.events).toEqual(['start', 'error connection_terminated']);
    expect(counted.values).toEqual({ crowded: 1 });
    expect(clock.pending).toBe(0);
  });

  it('is crowded no longer when they have ended, however they ended', () => {
    for (const script of [[503, 200], [503], ['connection_terminated', 'hang'], ['connection_terminated']] as const) {
      const clock = new FakeClock();
      const budget = budgetOf(clock, { active: () => 1 });
      for (let request = 0; request < 1_000; request++) budget.recordRequest(clock.now());
      for (let request = 0; request < 10; request++) {
        const { heard } = send(script, { clock, budget, config, seed: request });
        clock.advance(1_000);
        heard.control!.abort(CLIENT_LEFT);
      }
      for (let request = 0; request < 1_000; request++) budget.recordRequest(clock.now());
      const free = [1, 2, 3, 4].map(() => budget.ask(0.2));
      expect(free).toEqual(['granted', 'granted', 'granted', 'crowded']);
    }
  });
});

describe('an answer that asks to be left alone', () => {
  const config: Partial<RetryConfig> = { on: [503] };
  const busy =
    (...fields: string[]): Play =>
    (scripted) => {
      scripted.head(503, fields);
      scripted.end();
    };
  const waitOf = (play: Play, seed = 1) => {
    const { clock, scripted } = send([play, 200], { config, seed });
    clock.advance(20_000);
    return scripted.tried.length === 1 ? undefined : scripted.tried[1]!.at - scripted.tried[0]!.at;
  };

  it('is, for as long as it asks, and up to half of that longer: not all come back at once', () => {
    const waits = Array.from({ length: 20 }, (_, seed) => waitOf(busy('Retry-After', '1'), seed)!);
    for (const wait of waits) {
      expect(wait).toBeGreaterThanOrEqual(1_000);
      expect(wait).toBeLessThan(1_500);
    }
    expect(new Set(waits.map(Math.floor)).size).toBeGreaterThan(10);
  });

  it('is until the date that it names', () => {
    const clock = new FakeClock();
    const wait = waitOf(busy('retry-after', new Date(Math.ceil(clock.wall() / 1_000) * 1_000 + 1_000).toUTCString()));
    expect(wait).toBeGreaterThanOrEqual(1_000);
    expect(wait).toBeLessThan(3_000);
  });

  it.each(['soon', '-1', '1.5', '', '0', 'Thu, 01 Jan 1970 00:00:00 GMT'])(
    'is tried again as any other when it says %j, which asks for nothing',
    (value) => expect(waitOf(busy('retry-after', value))).toBeLessThan(25),
  );

  it('is passed on when it asks for longer than anybody is kept waiting', () => {
    for (const value of ['3', '99999999999', 'Fri, 31 Dec 2100 00:00:00 GMT']) {
      const { heard, counted, clock } = send([busy('retry-after', value), 200], { config });
      expect(heard.events).toEqual(['start', 'head 503', 'end']);
      expect(clock.pending).toBe(0);
      expect(counted.values).toEqual({ 'retry-after': 1 });
    }
  });

  it('is passed on when that would outlast the time that is left', () => {
    const { heard, counted } = send([busy('retry-after', '1'), 200], { config, headMs: 900 });
    expect(heard.events).toEqual(['start', 'head 503', 'end']);
    expect(counted.values).toEqual({ deadline: 1 });
  });
});

describe('what was not tried again', () => {
  it.each([
    ['attempts', ['connection_refused'], { config: { attempts: 1 } }],
    ['method', ['connection_terminated'], { method: 'POST' }],
    ['budget', [503], { config: { on: [503], budget: 0 } }],
    ['deadline', ['connection_terminated'], { headMs: 0 }],
  ] as [string, Play[], Options][])('is counted by why: %s', (reason, script, options) => {
    const { clock, counted } = send(script, options);
    clock.advance(1_000);
    expect(counted.values).toEqual({ [reason]: 1 });
  });

  it('is not counted where nothing names it', () => {
    const { clock, counted } = send([503, 200]);
    clock.advance(1_000);
    expect(counted.values).toEqual({});
  });
});

describe('bodies', () => {
  it('that stream are sent to the next endpoint when nothing of them was read', () => {
    const body = Readable.from([Buffer.from('order')]);
    const { scripted, heard } = send(['connection_refused', 200], { method: 'POST', body, contentLength: 5 });
    expect(scripted.bodies).toEqual([body, body]);
    expect(heard.events).toContain('head 200');
  });

  it('that were read in part end the matter', () => {
    const body = new PassThrough();
    body.write('two megabytes');
    const { clock, tries, heard } = send(
      [
        (scripted) => {
          body.read();
          scripted.fail('connection_terminated');
        },
        200,
      ],
      { method: 'PUT', body },
    );
    clock.advance(1_000);
    expect(tries()).toBe(1);
    expect(heard.events).toEqual(['start', 'error connection_terminated']);
  });

  it('of idempotent requests are kept when small, and sent again', async () => {
    const body = new PassThrough();
    const { clock, scripted, heard } = send(['connection_terminated', 200], { method: 'PUT', body, contentLength: 9 });
    expect(heard.events).toEqual(['start']);
    body.write('half');
    body.end(' half');
    await new Promise((resolve) => body.once('close', resolve));
    clock.advance(25);
    expect(scripted.bodies.map(String)).toEqual(['half half', 'half half']);
    expect(heard.events).toContain('head 200');
  });

  it.each([
    ['larger than maxBody', { contentLength: 65_537 }],
    ['of unknown length', {}],
    ['of a route that only retries connects', { contentLength: 9, config: { on: ['connect' as const] } }],
  ])('%s are streamed at once', (_, options) => {
    const body = new PassThrough();
    expect(send([200], { method: 'PUT', body, ...options }).scripted.bodies).toEqual([body]);
  });

  it('that break off while they are kept end the exchange without a try', async () => {
    const body = new PassThrough();
    const { tries, heard } = send([200], { method: 'PUT', body, contentLength: 9 });
    body.destroy(new Error('reset by the client'));
    await new Promise((resolve) => body.once('close', resolve));
    expect(tries()).toBe(0);
    expect(heard.error?.status).toBe(400);
  });
});

describe('a client that leaves', () => {
  it('ends the try under way, and there is no other', () => {
    const { clock, heard, scripted, tries } = send(['hang', 200]);
    heard.control!.abort(CLIENT_LEFT);
    clock.advance(1_000);
    expect(scripted.aborted).toEqual([CLIENT_LEFT]);
    expect(heard.events).toEqual(['start', 'error connection_terminated']);
    expect(tries()).toBe(1);
  });

  it('ends the wait between tries, and leaves no timer behind', () => {
    const { clock, heard, tries } = send(['connection_terminated', 200]);
    expect(clock.pending).toBe(1);
    heard.control!.abort(CLIENT_LEFT);
    expect(clock.pending).toBe(0);
    expect(heard.error).toBe(CLIENT_LEFT);
    expect(tries()).toBe(1);
  });

  it('ends the second try as it would the first: its control is the same', () => {
    const { clock, heard, scripted } = send(['connection_terminated', 'hang']);
    const control = heard.control;
    clock.advance(25);
    expect(heard.control).toBe(control);
    control!.abort(CLIENT_LEFT);
    expect(scripted.aborted).toEqual([CLIENT_LEFT]);
    expect(heard.events).toEqual(['start', 'error connection_terminated']);
  });

  it('while its body is being kept, is not tried for', async () => {
    const body = new PassThrough();
    const { heard, tries } = send([200], { method: 'PUT', body, contentLength: 4 });
    heard.control!.abort(CLIENT_LEFT);
    expect(body.listenerCount('data')).toBe(0);
    body.end('body');
    await new Promise((resolve) => setImmediate(resolve));
    expect(tries()).toBe(0);
    expect(heard.events).toEqual(['start', 'error connection_terminated']);
  });

  it('is told once', () => {
    const { heard } = send(['hang']);
    heard.control!.abort(CLIENT_LEFT);
    heard.control!.abort(CLIENT_LEFT);
    expect(heard.events).toEqual(['start', 'error connection_terminated']);
  });

  it('ends a try that begins late, because something below held it back', () => {
    const clock = new FakeClock();
    const { counter } = new Counted();
    const context = { clock, random: seededRandom(1), counter } as unknown as PluginContext;
    const heard = new Heard();
    let begin = (_control: Control) => {};
    const holding: Dispatch = (_request, handler) => (begin = (control) => handler.onStart(control));
    retry.create(DEFAULTS, context).layer!(holding)(new Scripted([200], { clock }).request, heard);
    heard.control!.abort(CLIENT_LEFT);
    const reasons: GatewayError[] = [];
    begin({ pause() {}, resume() {}, keepBytes: () => () => {}, abort: (reason) => reasons.push(reason) });
    expect(reasons).toEqual([CLIENT_LEFT]);
    expect(heard.events).toEqual(['start', 'error connection_terminated']);
  });
});

describe('the options', () => {
  const accepts = (options: unknown) => Value.Check(schema, Value.Default(schema, options));

  it('have the documented defaults', () => {
    expect(DEFAULTS).toEqual({
      attempts: 2,
      on: ['connect', 'reset'],
      budget: 0.2,
      backoff: { base: 25, max: 250 },
      retryAfter: 2_000,
      maxBody: 65_536,
    });
  });

  it('refuse what makes no sense', () => {
    expect(accepts({ on: ['timeout', 503], budget: '100%' })).toBe(true);
    for (const wrong of [{ on: ['sometimes'] }, { on: [200] }, { on: [] }, { attempts: 11 }, { attempt: 1 }, true]) {
      expect(accepts(wrong)).toBe(false);
    }
  });

  const TIMEOUT = { head: 15_000, idle: 60_000, streamIdle: 300_000 };
  const faultsOf = (config: Partial<RetryConfig>, timeout: object = {}) => {
    const route = { timeout: { ...TIMEOUT, ...timeout } } as RouteConfig;
    return retry.check!({ ...DEFAULTS, ...config }, route, new Set());
  };

  it('are fine by default, and where there is none to check', () => {
    expect(faultsOf({})).toEqual([]);
    expect(faultsOf({ attempts: 0, budget: 0 })).toEqual([]);
  });

  it.each([
    ['a backoff that begins above its limit', { backoff: { base: 300, max: 250 } }, {}, 'backoff.base', undefined],
    ['a backoff as long as the total', { backoff: { base: 250, max: 250 } }, { total: 250 }, 'backoff.base', 'warning'],
    ['a backoff as long as the head', { backoff: { base: 50, max: 250 } }, { head: 50 }, 'backoff.base', 'warning'],
    ['a budget of nothing', { budget: 0 }, {}, 'budget', 'warning'],
  ] as const)('are told: %s', (_, config, timeout, path, severity) => {
    const faults = faultsOf(config, timeout);
    expect(faults.map((fault) => [fault.path.join('.'), fault.severity])).toEqual([[path, severity]]);
  });

  it('say nothing of a budget of nothing where nothing would need it', () => {
    expect(faultsOf({ budget: 0, on: ['connect'] })).toEqual([]);
  });
});
