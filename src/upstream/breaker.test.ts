import { beforeEach, describe, expect, it } from 'vitest';
import { BREAKER as DEFAULTS } from '../../test/support/config.ts';
import { FakeClock } from '../../test/support/fake-clock.ts';
import { seededRandom } from '../clock.ts';
import type { BreakerConfig } from '../config/schema.ts';
import { BREAKER, type BreakerState } from '../memory/breaker-table.ts';
import { EndpointTable } from '../memory/endpoint-table.ts';
import { Breaker, REFUSED, type OpeningCause, type Outcome } from './breaker.ts';

const ROW = 3;
const THREADS = 2;
const NAMES: Readonly<Record<BreakerState, string>> = {
  [BREAKER.closed]: 'closed',
  [BREAKER.open]: 'open',
  [BREAKER.halfOpen]: 'half-open',
};

let clock: FakeClock;
let table: EndpointTable;
let moves: { state: string; reason: string; cause?: OpeningCause }[];

beforeEach(() => {
  clock = new FakeClock();
  table = EndpointTable.allocate(THREADS, 16);
  moves = [];
});

function breaker(changes: Partial<BreakerConfig> = {}, thread = 0, seed = 1): Breaker {
  return new Breaker({
    config: { ...DEFAULTS, ...changes },
    row: ROW,
    thread,
    table,
    clock,
    random: seededRandom(seed),
    onMoved: (_, { to, reason, cause }) => moves.push({ state: NAMES[to], reason, ...(cause && { cause }) }),
  });
}

/** One request after the other. @returns how many were admitted. */
function send(through: Breaker, count: number, outcome: Outcome, durationMs = 10): number {
  let admitted = 0;
  for (let request = 0; request < count; request++) {
    const ticket = through.admit();
    if (ticket === REFUSED) continue;
    admitted++;
    through.record(ticket, outcome, durationMs);
  }
  return admitted;
}

/** Until the open one may be probed. */
const waitOut = (open: Breaker) => clock.advance(open.waitMs);
const states = () => moves.map(({ state }) => state);

describe('a closed breaker', () => {
  it('opens when half of twenty answers have failed, and refuses from then on', () => {
    const tested = breaker();
    expect(send(tested, 10, 'success') + send(tested, 30, 'failure')).toBe(20);
    expect(tested.isClosed).toBe(false);
    expect(moves).toEqual([
      {
        state: 'open',
        cause: 'failure-share',
        reason: expect.stringMatching(/^10 of 20 answers in 10 s failed; open for 1\d\.\d s$/) as string,
      },
    ]);
  });

  it('does not open below the least volume, whatever the share', () => {
    expect(send(breaker(), 19, 'failure')).toBe(19);
    expect(moves).toEqual([]);
  });

  it('does not open below the share, whatever the volume', () => {
    const tested = breaker();
    for (let round = 0; round < 100; round++) {
      send(tested, 3, 'success');
      send(tested, 2, 'failure');
    }
    expect(moves).toEqual([]);
  });

  it('counts what falls within the window alone', () => {
    const tested = breaker();
    send(tested, 19, 'failure');
    clock.advance(10_000);
    send(tested, 19, 'failure');
    expect(moves).toEqual([]);
    clock.advance(8_000);
    send(tested, 1, 'failure');
    expect(states()).toEqual(['open']);
  });

  it('takes no notice of requests that tell nothing', () => {
    const tested = breaker({ minRequests: 2 });
    send(tested, 1, 'failure');
    send(tested, 100, 'cancelled');
    expect(moves).toEqual([]);
    send(tested, 1, 'failure');
    expect(states()).toEqual(['open']);
  });

  it('opens after failures in a row, without any volume, where told so', () => {
    const tested = breaker({ consecutive: 3 });
    send(tested, 2, 'failure');
    send(tested, 1, 'success');
    send(tested, 2, 'failure');
    expect(moves).toEqual([]);
    send(tested, 1, 'failure');
    expect(moves[0]!.reason).toMatch(/^3 failures in a row;/);
  });

  it('opens when too many answers are slow, though they are good', () => {
    const slow = breaker({ slow: { over: 2_000, share: 0.5 } });
    send(slow, 10, 'success', 2_000);
    send(slow, 10, 'success', 2_001);
    expect(moves[0]!.reason).toMatch(/^10 of 20 answers in 10 s took longer than 2 s;/);
  });

  it('opens for all threads at once, and counts what all of them see', () => {
    const [one, other] = [breaker(), breaker({}, 1)];
    const epoch = table.epoch;
    for (let request = 0; request < 10; request++) {
      send(one, 1, 'failure');
      send(other, 1, 'failure');
    }
    expect(states()).toEqual(['open']);
    expect([one.admit(), other.admit()]).toEqual([REFUSED, REFUSED]);
    expect(table.epoch).toBeGreaterThan(epoch);
  });
});

describe('an open breaker', () => {
  it('learns nothing from answers to what was asked before it opened', () => {
    const tested = breaker();
    const late = tested.admit();
    send(tested, 20, 'failure');
    waitOut(tested);
    const probe = tested.admit();
    tested.record(late, 'success', 10);
    tested.record(late, 'failure', 10);
    expect(states()).toEqual(['open', 'half-open']);
    tested.record(probe, 'success', 10);
    expect(states()).toEqual(['open', 'half-open']);
  });

  it('is probed when its time is over, not before', () => {
    const tested = breaker();
    send(tested, 20, 'failure');
    clock.advance(tested.waitMs - 1);
    expect([tested.wantsProbe, tested.admit()]).toEqual([false, REFUSED]);
    clock.advance(1);
    expect(tested.wantsProbe).toBe(true);
    expect(tested.admit()).not.toBe(REFUSED);
    expect(states()).toEqual(['open', 'half-open']);
  });

  it('stays open twice as long after each probe that fails, up to the longest time, with jitter', () => {
    const tested = breaker({ maxOpenFor: 50_000 });
    send(tested, 20, 'failure');
    const waits = Array.from({ length: 5 }, () => {
      const { waitMs } = tested;
      waitOut(tested);
      send(tested, 1, 'failure');
      return waitMs;
    });
    const least = [10_000, 20_000, 40_000, 50_000, 50_000];
    waits.forEach((waitMs, at) => {
      expect(waitMs).toBeGreaterThan(least[at]!);
      expect(waitMs).toBeLessThanOrEqual(least[at]! * 1.2);
    });
    expect(new Set(waits.map((waitMs, at) => waitMs / least[at]!)).size).toBe(waits.length);
  });
});

describe('a half-open breaker', () => {
  function halfOpen(changes: Partial<BreakerConfig> = {}): Breaker {
    const tested = breaker(changes);
    send(tested, 20, 'failure');
    waitOut(tested);
    return tested;
  }

  it('admits one probe, then one more at once for each that has passed', () => {
    const tested = halfOpen();
    const first = tested.admit();
    expect([tested.wantsProbe, tested.admit()]).toEqual([false, REFUSED]);
    tested.record(first, 'success', 10);
    const two = [tested.admit(), tested.admit()];
    expect(two).not.toContain(REFUSED);
    expect(tested.admit()).toBe(REFUSED);
  });

  it('closes when all have passed, with an empty window', () => {
    const tested = halfOpen({ window: 60_000 });
    send(tested, 3, 'success');
    expect(states()).toEqual(['open', 'half-open', 'closed']);
    expect(send(tested, 19, 'failure')).toBe(19);
    expect(tested.isClosed).toBe(true);
  });

  it('opens again with the first that fails, or is slow', () => {
    const tested = halfOpen();
    send(tested, 2, 'success');
    send(tested, 1, 'failure');
    expect(moves.at(-1)).toMatchObject({ state: 'open', reason: expect.stringMatching(/^a probe failed;/) as string });
    const slow = breaker({ slow: { over: 100, share: 0.5 } });
    waitOut(slow);
    send(slow, 1, 'success', 101);
    expect(moves.at(-1)!.reason).toMatch(/^a probe was slow;/);
  });

  it('has its place back when the client of a probe leaves', () => {
    const tested = halfOpen();
    for (let client = 0; client < 50; client++) {
      const ticket = tested.admit();
      expect(ticket).not.toBe(REFUSED);
      tested.record(ticket, 'cancelled', 10);
    }
    expect(states()).toEqual(['open', 'half-open']);
    expect(table.breakers.probes(ROW)).toBe(0);
  });

  it('has its place back when the thread of a probe dies', () => {
    const tested = halfOpen();
    const other = breaker({}, 1);
    other.admit();
    expect(tested.admit()).toBe(REFUSED);
    table.forgetThread(1);
    expect(tested.admit()).not.toBe(REFUSED);
  });

  it('bounds probes that hang through several openings', () => {
    const tested = halfOpen();
    const hanging = tested.admit();
    clock.advance(600_000);
    expect(tested.admit()).toBe(REFUSED);
    tested.record(hanging, 'failure', 600_000);
    expect(states().at(-1)).toBe('open');
    waitOut(tested);
    expect(tested.admit()).not.toBe(REFUSED);
  });
});

describe('the past of a breaker', () => {
  it('counts when it opens again soon after it closed, and is forgotten when it does well for as long', () => {
    const tested = breaker();
    const reopen = () => {
      waitOut(tested);
      send(tested, 3, 'success');
      send(tested, 20, 'failure');
      return tested.waitMs;
    };
    send(tested, 20, 'failure');
    expect(reopen()).toBeGreaterThan(20_000);
    expect(reopen()).toBeGreaterThan(40_000);
    waitOut(tested);
    send(tested, 3, 'success');
    clock.advance(40_000);
    send(tested, 20, 'failure');
    expect(tested.waitMs).toBeLessThanOrEqual(12_000);
  });

  it('is kept in the row: a breaker of the next configuration goes on with it', () => {
    send(breaker(), 20, 'failure');
    expect(breaker({ failures: 0.9 }).admit()).toBe(REFUSED);
  });
});

it('holds its promises over seeds, threads and random ends of requests', () => {
  for (let seed = 1; seed <= 300; seed++) {
    clock = new FakeClock();
    table = EndpointTable.allocate(THREADS, 16);
    moves = [];
    const chance = seededRandom(seed);
    const settings = { minRequests: 5, probes: 3, openFor: 1_000, maxOpenFor: 4_000 };
    const both = [breaker(settings, 0, seed), breaker(settings, 1, seed + 1)] as const;
    const inFlight: { of: Breaker; ticket: number }[] = [];
    const isSick = () => Math.floor(clock.now() / 30_000) % 2 === 0;
    for (let step = 0; step < 600; step++) {
      clock.advance(chance() * 100);
      const of = both[Math.floor(chance() * 2)]!;
      const ticket = of.admit();
      if (ticket !== REFUSED) inFlight.push({ of, ticket });
      expect(table.breakers.probes(ROW)).toBeLessThanOrEqual(3);
      while (inFlight.length > 4 || chance() < 0.4) {
        const [ended] = inFlight.splice(Math.floor(chance() * inFlight.length), 1);
        if (ended === undefined) break;
        const outcome = chance() < 0.1 ? 'cancelled' : isSick() ? 'failure' : 'success';
        ended.of.record(ended.ticket, outcome, 1);
      }
    }
    for (const { of, ticket } of inFlight) of.record(ticket, 'cancelled', 1);
    expect(table.breakers.probes(ROW)).toBe(0);
    for (const [at, { state }] of moves.entries()) {
      const before = moves[at - 1]?.state ?? 'closed';
      expect(`${before} to ${state}`).toMatch(/^(closed to open|open to half-open|half-open to (open|closed))$/);
    }
  }
});
