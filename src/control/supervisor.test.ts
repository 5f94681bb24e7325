import { describe, expect, test } from 'vitest';
import { config, logEntries, poolConfig } from '../../test/support/config.ts';
import { FakeClock, settle } from '../../test/support/fake-clock.ts';
import { FakeThread } from '../../test/support/fake-thread.ts';
import type { GenerationPlan, ListenerConfig } from '../data/messages.ts';
import { LimitTables } from '../limits/memory-limits.ts';
import { CacheTable } from '../memory/cache-table.ts';
import { ConnectionTable } from '../memory/connection-table.ts';
import { EndpointTable } from '../memory/endpoint-table.ts';
import { CounterTable } from '../memory/counter-table.ts';
import { SessionTable } from '../memory/session-table.ts';
import { MetricTable } from '../memory/metric-table.ts';
import { shareConsumers } from '../data/shared-consumers.ts';
import { Supervisor } from './supervisor.ts';

const LISTENERS = [{ host: '127.0.0.1', port: 0 }] as ListenerConfig[];

function plan(id: number): GenerationPlan {
  return {
    id,
    config: config([poolConfig(['http://10.0.0.1:80'])]),
    consumers: shareConsumers([]),
    endpointRows: new Map(),
    routeRows: new Map(),
    tlsFiles: [],
  };
}

function supervised(threads: number, onSpawn: (thread: FakeThread) => void = () => {}) {
  const clock = new FakeClock();
  const endpoints = EndpointTable.allocate(threads, 8);
  const { log, entries, events } = logEntries();
  const spawned: FakeThread[] = [];
  const released: number[] = [];
  const suspects: [number, string][] = [];
  const supervisor = new Supervisor({
    threads,
    endpoints,
    metrics: MetricTable.allocate({ threads, routes: 4, endpoints: 8 }),
    counters: CounterTable.allocate(threads, 4, []),
    limits: LimitTables.allocate(threads, 0),
    cache: CacheTable.allocate(1024 ** 2, 64 * 1024),
    sessions: SessionTable.allocate(1),
    onRefresh: () => {},
    greeting: () => [],
    connections: ConnectionTable.allocate(threads),
    clock,
    log,
    spawn(data) {
      const thread = new FakeThread(data);
      spawned.push(thread);
      onSpawn(thread);
      return thread;
    },
    onBreaker: () => {},
    onDecisions: () => {},
    onSuspect: (row, reason) => suspects.push([row, reason]),
    onReleased: (generation) => released.push(generation),
  });
  /** Time passes, and every thread but the given one turns its event loop. */
  const pass = async (ms: number, still?: FakeThread) => {
    for (let left = ms; left > 0; left -= 250) {
      for (const thread of spawned) if (thread !== still && thread.isAlive) thread.beat();
      await clock.advanceAsync(Math.min(250, left));
    }
    for (let turn = 0; turn < 6; turn++) await settle();
  };
  return { clock, endpoints, entries, events, spawned, released, suspects, supervisor, pass };
}

async function started(threads: number) {
  const all = supervised(threads);
  await all.supervisor.start(plan(1), LISTENERS);
  return all;
}

const states = (supervisor: Supervisor) => supervisor.threads.map(({ state }) => state);

describe('the start', () => {
  test('the first thread finds a free port, the others share it', async () => {
    const { supervisor, spawned } = await started(3);
    expect(spawned[0]!.kinds()).toEqual(['prepare', 'commit 1', 'listen']);
    for (const { heard } of spawned.slice(1)) {
      expect(heard.at(-1)).toMatchObject({ kind: 'listen', listeners: [{ port: 40_000 }], reusePort: true });
    }
    expect(supervisor.listeners).toMatchObject([{ port: 40_000 }]);
    expect(states(supervisor)).toEqual(['up', 'up', 'up']);
  });

  test('one thread needs no shared port', async () => {
    const { spawned } = await started(1);
    expect(spawned[0]!.heard.at(-1)).toMatchObject({ kind: 'listen', reusePort: false });
  });

  test('a thread that dies over it fails the start with its reason, and none is left', async () => {
    const { supervisor, spawned } = supervised(2, (thread) => {
      if (thread.data.thread === 0) setImmediate(() => setImmediate(() => thread.die('cannot listen: EADDRINUSE')));
    });
    await expect(supervisor.start(plan(1), LISTENERS)).rejects.toThrow('cannot listen: EADDRINUSE');
    expect(spawned.map(({ isAlive }) => isAlive)).toEqual([false, false]);
    expect(spawned).toHaveLength(2);
  });
});

describe('a reload', () => {
  test('all threads prepare, one after another, before any serves', async () => {
    const { supervisor, spawned } = await started(2);
    spawned[1]!.isMute = true;
    const prepared = supervisor.prepareAll(plan(2));
    for (let turn = 0; turn < 5; turn++) await settle();
    expect(spawned[0]!.kinds().at(-1)).toBe('prepare');
    expect(spawned[1]!.kinds().at(-1)).toBe('prepare');
    spawned[1]!.say({ kind: 'prepared', id: 2 });
    await prepared;
    supervisor.commitAll(plan(2));
    expect(spawned.map((thread) => thread.kinds().at(-1))).toEqual(['commit 2', 'commit 2']);
  });

  test('when one refuses none swaps, and the others forget it', async () => {
    const { supervisor, spawned, released } = await started(2);
    spawned[1]!.refusal = 'route orders: bad pattern';
    await expect(supervisor.prepareAll(plan(2))).rejects.toThrow('route orders: bad pattern');
    expect(spawned[0]!.kinds().at(-1)).toBe('discard 2');
    expect(released).toEqual([2]);
  });

  test('a thread that does not answer is a refusal, and is replaced', async () => {
    const { supervisor, spawned, pass } = await started(2);
    spawned[0]!.isMute = true;
    const refused = expect(supervisor.prepareAll(plan(2))).rejects.toThrow(
      "data thread 0 did not answer 'prepare' within",
    );
    await pass(11_000);
    await refused;
    expect(spawned[0]!.isAlive).toBe(false);
    expect(spawned[2]!.kinds()).toEqual(['prepare', 'commit 1', 'listen']);
    expect(states(supervisor)).toEqual(['up', 'up']);
  });

  test('a generation is released when the last thread has no request of it left', async () => {
    const { supervisor, spawned, released } = await started(2);
    await supervisor.prepareAll(plan(2));
    supervisor.commitAll(plan(2));
    spawned[0]!.say({ kind: 'released', id: 1 });
    expect(released).toEqual([]);
    spawned[1]!.say({ kind: 'released', id: 1 });
    expect(released).toEqual([1]);
    expect(supervisor.generations).toBe(1);
  });

  test('a thread that dies gives back what it held', async () => {
    const { supervisor, spawned, released } = await started(2);
    await supervisor.prepareAll(plan(2));
    supervisor.commitAll(plan(2));
    spawned[0]!.say({ kind: 'released', id: 1 });
    spawned[1]!.die('boom');
    expect(released).toEqual([1]);
  });

  test('a generation stays while it serves, also when every thread is dead', async () => {
    const { spawned, released } = await started(1);
    spawned[0]!.die('boom');
    expect(released).toEqual([]);
  });
});

describe('a thread that dies', () => {
  test('is replaced on its seat with the plan and the ports, and the others hear nothing', async () => {
    const { supervisor, spawned, pass } = await started(2);
    const heardBefore = spawned[0]!.heard.length;
    spawned[1]!.die('out of memory');
    expect(states(supervisor)).toEqual(['up', 'down']);
    await pass(250);
    expect(states(supervisor)).toEqual(['up', 'up']);
    expect(spawned[2]!.data.thread).toBe(1);
    expect(spawned[2]!.heard.at(-1)).toMatchObject({ kind: 'listen', listeners: [{ port: 40_000 }] });
    expect(spawned[0]!.heard).toHaveLength(heardBefore);
    expect(supervisor.threads[1]!.restarts).toBe(1);
  });

  test('leaves no request in flight behind', async () => {
    const { endpoints, spawned } = await started(2);
    endpoints.begin(3, 0);
    endpoints.begin(3, 1);
    spawned[1]!.die('boom');
    expect(endpoints.inFlight(3)).toBe(1);
  });

  test('comes back more and more slowly while it keeps dying', async () => {
    const { entries, spawned, pass } = await started(1);
    for (let death = 0; death < 8; death++) {
      spawned.at(-1)!.die('boom');
      await pass(5_000);
    }
    const delays = entries.filter(({ event }) => event === 'thread_died').map(({ restartInMs }) => restartInMs);
    expect(delays).toEqual([100, 200, 400, 800, 1600, 3200, 5000, 5000]);
  });

  test('is forgiven after a steady life', async () => {
    const { entries, spawned, pass } = await started(1);
    spawned.at(-1)!.die('boom');
    await pass(20_000);
    spawned.at(-1)!.die('boom');
    expect(entries.at(-1)).toMatchObject({ event: 'thread_died', restartInMs: 100 });
  });

  test('during a reload comes back on the configuration that was committed meanwhile', async () => {
    const { supervisor, spawned, pass } = await started(2);
    await supervisor.prepareAll(plan(2));
    spawned[1]!.die('boom');
    supervisor.commitAll(plan(2));
    await pass(250);
    expect(spawned[2]!.kinds()).toEqual(['prepare', 'commit 2', 'listen']);
  });
});

describe('a wedged thread', () => {
  test('is ended and replaced when its heart stands still', async () => {
    const { spawned, events, pass } = await started(2);
    await pass(5_000, spawned[1]);
    expect(spawned[1]!.isAlive).toBe(true);
    await pass(3_000, spawned[1]);
    expect(spawned[1]!.isAlive).toBe(false);
    expect(events()).toEqual(['thread_wedged', 'thread_died', 'thread_restarted']);
  });

  test('a stall of the control plane is not blamed on the threads', async () => {
    const { clock, spawned, pass } = await started(1);
    await pass(1_000);
    clock.stall(20_000);
    await pass(3_000, spawned[0]);
    expect(spawned[0]!.isAlive).toBe(true);
  });
});

describe('the end', () => {
  test('threads drain together, and what they cut is summed', async () => {
    const { supervisor, spawned } = await started(2);
    expect(await supervisor.drainAll(100, 5_000)).toBe(3);
    expect(spawned[0]!.heard.at(-1)).toEqual({ kind: 'drain', delayMs: 100, timeoutMs: 5_000 });
  });

  test('a thread that cannot say that it has drained does not hold up the end', async () => {
    const { supervisor, spawned, pass } = await started(2);
    spawned[0]!.isMute = true;
    const drained = supervisor.drainAll(100, 5_000);
    await pass(8_000);
    expect(await drained).toBe(2);
  });

  test('nobody is replaced any more, and nothing is left to run', async () => {
    const { clock, supervisor, spawned, pass } = await started(2);
    await supervisor.drainAll(0, 1_000);
    await supervisor.close();
    await pass(10_000);
    expect(spawned).toHaveLength(2);
    expect(clock.pending).toBe(0);
  });
});

test('what a thread suspects is passed on', async () => {
  const { spawned, suspects } = await started(1);
  spawned[0]!.say({ kind: 'suspect', row: 5, failures: 5, reason: 'status 500' });
  expect(suspects).toEqual([[5, 'status 500']]);
});
