import { describe, expect, it } from 'vitest';
import { QUEUE, SaturatedPool, type SaturatedOptions } from '../../../test/support/saturated-pool.ts';

/** One endpoint that works on everything at once, for 100 ms. */
const limited = (maxInFlight: SaturatedOptions['maxInFlight'], options: Partial<SaturatedOptions> = {}) =>
  new SaturatedPool({ endpoints: [{ workers: 1_000, serviceMs: 100 }], ...options, maxInFlight });

const times = (count: number, run: (at: number) => unknown) => Array.from({ length: count }, (_, at) => run(at));
const outcomes = (pool: SaturatedPool) => pool.visits.map(({ outcome }) => outcome);
const reasons = (pool: SaturatedPool) =>
  pool.visits.flatMap(({ error }) => (error === undefined ? [] : [error.message]));

describe('a pool at its limit', () => {
  it('gives its endpoints no more at once than that, over all threads', () => {
    const pool = limited({ max: 5 }, { threads: 3 });
    times(30, (at) => pool.ask({ thread: at % 3, address: `192.0.2.${at}` }));
    for (let step = 0; step < 100; step++) {
      expect(pool.inFlight).toBeLessThanOrEqual(5);
      pool.clock.advance(10);
    }
    expect(pool.services[0]!.most).toBe(5);
    expect(pool.sums.waiting).toBe(0);
  });

  it('gives a place that becomes free to who waits for it, at once', () => {
    const pool = limited({ max: 1 });
    const [, second] = [pool.ask(), pool.ask()];
    expect(pool.sums.waiting).toBe(1);
    pool.clock.advance(200);
    expect([second.outcome, second.tookMs, second.request.queuedMs]).toEqual(['served', 200, 100]);
    expect(pool.sums).toMatchObject({ waiting: 0, waited: 1, waitedMs: 100 });
  });

  it('has each place at once again when a client leaves, waiting or not', () => {
    const pool = limited({ max: 1 });
    const [first, second, third] = [pool.ask(), pool.ask(), pool.ask()];
    second.leave();
    expect(pool.sums.waiting).toBe(1);
    first.leave();
    pool.clock.advance(100);
    expect([third.outcome, third.tookMs]).toEqual(['served', 100]);
    expect([pool.inFlight, pool.sums.waiting]).toEqual([0, 0]);
  });

  it('refuses who has waited for as long as the queue allows, and says when to come again', () => {
    const pool = limited(
      { max: 1, queue: { ...QUEUE, timeout: 1_500, target: 5_000 } },
      { endpoints: [{ serviceMs: 9_000 }] },
    );
    const [, late] = [pool.ask(), pool.ask()];
    pool.clock.advance(1_600);
    expect(late.error).toMatchObject({
      type: 'connection_limit_reached',
      status: 503,
      retryAfterSeconds: 2,
      retry: 'never',
    });
    expect(late.error?.message).toMatch(/^pool 'orders': no place became free in time \(waited 15\d\d ms\)$/);
    expect(pool.sums.refused).toEqual({ full: 0, late: 1, overloaded: 0, displaced: 0 });
  });

  it('lets nobody wait past the deadline of the exchange', () => {
    const pool = limited({ max: 1 }, { endpoints: [{ serviceMs: 9_000 }] });
    pool.ask();
    const hurried = pool.ask({ headMs: 300 });
    const hopeless = pool.ask({ headMs: 0 });
    expect(hopeless.outcome).toBe('refused');
    pool.clock.advance(330);
    expect(hurried.outcome).toBe('refused');
  });

  it('refuses at once without a queue', () => {
    const pool = limited({ max: 2, queue: false });
    times(3, () => pool.ask());
    expect(outcomes(pool)).toEqual(['under way', 'under way', 'refused']);
    expect(reasons(pool)).toEqual(["pool 'orders': at its limit"]);
  });

  it('lets no more wait than the queue holds', () => {
    const pool = limited({ max: 1, queue: { ...QUEUE, max: 2 } });
    times(4, () => pool.ask());
    expect(outcomes(pool)).toEqual(['under way', 'under way', 'under way', 'refused']);
    expect(pool.sums.refused.full).toBe(1);
  });

  it('has the one with most in a full queue make room for another', () => {
    const pool = limited({ max: 1, queue: { ...QUEUE, max: 3 } });
    times(4, () => pool.ask({ consumer: 'greedy' }));
    pool.ask({ consumer: 'modest' });
    pool.ask({ consumer: 'greedy' });
    expect(outcomes(pool)).toEqual(['under way', 'refused', 'under way', 'under way', 'under way', 'refused']);
    expect(pool.sums.refused).toMatchObject({ displaced: 1, full: 1 });
  });

  it('has the lowest priority make room for a higher one', () => {
    const pool = limited({ max: 1, queue: { ...QUEUE, max: 2 } });
    times(2, () => pool.ask());
    pool.ask({ priority: 'low' });
    pool.ask({ priority: 'high' });
    pool.ask({ priority: 'low' });
    expect(outcomes(pool)).toEqual(['under way', 'under way', 'refused', 'under way', 'refused']);
  });

  it('takes an address of IPv6 for its network', () => {
    const pool = limited({ max: 1, queue: { ...QUEUE, max: 3 } });
    times(4, (at) => pool.ask({ address: `2001:db8::${at}` }));
    pool.ask({ address: '2001:db8:0:1::1' });
    expect(outcomes(pool)).toEqual(['under way', 'refused', 'under way', 'under way', 'under way']);
  });
});

describe('who waits', () => {
  const servedInOrder = (pool: SaturatedPool) =>
    pool.visits.toSorted((a, b) => a.tookMs - b.tookMs).map(({ request }) => request.exchange.consumer);

  it('takes turns with the other callers', () => {
    const pool = limited({ max: 1, queue: { ...QUEUE, target: 1_000 } });
    for (const consumer of ['a', 'a', 'a', 'a', 'b', 'c', 'b']) pool.ask({ consumer });
    pool.clock.advance(800);
    expect(servedInOrder(pool).join('')).toBe('aabcaba');
  });

  it('is served by its priority, whoever came first', () => {
    const pool = limited({ max: 1, queue: { ...QUEUE, target: 1_000 } });
    pool.ask({ consumer: 'first' });
    for (const priority of ['low', 'normal', 'high'] as const) pool.ask({ priority, consumer: priority });
    pool.clock.advance(800);
    expect(servedInOrder(pool)).toEqual(['first', 'high', 'normal', 'low']);
  });

  it('has the priority of its consumer, where that has one', () => {
    const pool = limited({ max: 1, queue: { ...QUEUE, target: 1_000 } });
    pool.ask({ consumer: 'first' });
    pool.ask({ consumer: 'demoted', priority: 'high', ownPriority: 'low' });
    pool.ask({ consumer: 'plain' });
    pool.ask({ consumer: 'promoted', priority: 'low', ownPriority: 'high' });
    pool.clock.advance(800);
    expect(servedInOrder(pool)).toEqual(['first', 'promoted', 'plain', 'demoted']);
  });

  it('is refused early when the queue has stood for an interval, and the newest is served', () => {
    const pool = limited({ max: 1 }, { endpoints: [{ serviceMs: 150 }] });
    const old = times(5, () => pool.ask({ consumer: 'a' })) as ReturnType<SaturatedPool['ask']>[];
    pool.clock.advance(240);
    const fresh = pool.ask({ consumer: 'a' });
    pool.clock.advance(200);
    expect(pool.sums.refused.overloaded).toBeGreaterThan(0);
    expect(old.at(-1)!.error?.message).toMatch(/^pool 'orders': overloaded: the queue does not get shorter/);
    pool.clock.advance(200);
    expect(fresh.outcome).toBe('served');
  });

  it('waits once over all its tries, and goes first with a further one', () => {
    const pool = limited({ max: 1, queue: { ...QUEUE, target: 1_000 } });
    const [endpoint] = pool.pools[0]!.endpoints;
    times(3, () => pool.ask());
    const again = pool.ask({ tried: [endpoint!] });
    pool.clock.advance(250);
    expect(again.outcome).toBe('served');
    again.request.queuedMs = QUEUE.timeout;
    pool.ask();
    let refused = false;
    again.onError = () => (refused = true);
    pool.pools[0]!.gate!.enter(again.request, again, () => false);
    expect(refused).toBe(true);
  });
});

describe('an endpoint at its limit', () => {
  it('is passed over while another has room', () => {
    const pool = new SaturatedPool({
      maxInFlight: { perEndpoint: 4 },
      endpoints: [
        { workers: 100, serviceMs: 100, maxInFlight: 1, weight: 100 },
        { workers: 100, serviceMs: 100 },
      ],
    });
    times(6, () => pool.ask());
    expect(pool.services.map(({ has }) => has)).toEqual([1, 4]);
    expect(pool.sums.waiting).toBe(1);
    pool.clock.advance(300);
    expect(new Set(outcomes(pool))).toEqual(new Set(['served']));
    expect(pool.services.map(({ most }) => most)).toEqual([1, 4]);
  });
});

describe('threads that share a limit', () => {
  it('have equal parts of it while each wants more', () => {
    const pool = limited({ max: 4, queue: { ...QUEUE, target: 5_000, timeout: 5_000 } }, { threads: 2 });
    times(40, () => pool.ask({ thread: 0 }));
    times(40, () => pool.ask({ thread: 1 }));
    pool.clock.advance(1_000);
    const served = (thread: number) =>
      pool.visits.filter(({ outcome, request }) => outcome === 'served' && request.pool === pool.pools[thread]).length;
    expect(served(1)).toBeGreaterThanOrEqual(0.7 * served(0));
  });

  it('have all of it while the others want nothing', () => {
    const pool = limited({ max: 4 }, { threads: 2 });
    times(4, () => pool.ask({ thread: 1 }));
    expect(pool.inFlight).toBe(4);
  });

  it('have what a thread that died has left', () => {
    const pool = limited({ max: 1 }, { threads: 2, endpoints: [{ serviceMs: 10_000 }] });
    pool.ask({ thread: 1 });
    const waiting = pool.ask({ thread: 0 });
    // As of one that still waited when it died.
    pool.table.places.addWaiting(10, 1, 3);
    pool.table.forgetThread(1);
    expect(pool.sums.waiting).toBe(1);
    pool.clock.advance(50);
    expect(waiting.request.queuedMs).toBeLessThanOrEqual(50);
    expect([pool.inFlight, pool.sums.waiting]).toEqual([1, 0]);
  });
});

it('tells decision records who is at its limit', () => {
  const pool = limited({ perEndpoint: 1 });
  const { gate, endpoints } = pool.pools[0]!;
  expect(gate!.isFull(endpoints[0]!)).toBe(false);
  pool.ask();
  expect(gate!.isFull(endpoints[0]!)).toBe(true);
});
