import { describe, expect, test } from 'vitest';
import { cleanup } from '../../test/support/cleanup.ts';
import { config, poolConfig, routeConfig } from '../../test/support/config.ts';
import { FakeClock, settle } from '../../test/support/fake-clock.ts';
import { FakeThread } from '../../test/support/fake-thread.ts';
import { seededRandom } from '../clock.ts';
import type { Problem } from '../config/problem.ts';
import type { Config, GatewayConfig } from '../config/schema.ts';
import type { Loaded } from './config-source.ts';
import { startGateway } from './gateway.ts';

const A = 'http://10.0.0.1:80';
const B = 'http://10.0.0.2:80';

const WRONG: Problem = {
  severity: 'error',
  file: 'routes.d/orders.yaml',
  line: 3,
  column: 5,
  message: "unknown key 'hosst'",
};

let revisions = 0;
function serving(urls: readonly string[], gateway: Partial<GatewayConfig> = {}): Config {
  const base = config([poolConfig(urls)], [routeConfig('orders')]);
  return { ...base, revision: `r${++revisions}`, gateway: { ...base.gateway, threads: 2, ...gateway } };
}

const good = (next: Config): Loaded => ({ config: next, problems: [], staleFiles: [], secrets: [] });

/** The control plane on threads and files that the test holds in its hands. */
async function gateway(first: Loaded = good(serving([A, B])), threads: FakeThread[] = []) {
  const clock = new FakeClock();
  const files = { now: first, changed: () => {}, isWatched: true };
  const lines: Record<string, unknown>[] = [];
  const running = await startGateway({
    dir: '/etc/aya',
    clock,
    random: seededRandom(1),
    log: (line) => lines.push(JSON.parse(line)),
    spawn(data) {
      const thread = new FakeThread(data);
      threads.push(thread);
      return thread;
    },
    source: {
      load: async () => files.now,
      watch(onChange) {
        files.changed = onChange;
        return { ready: Promise.resolve(), close: () => void (files.isWatched = false) };
      },
      diff: (before, after) => [`${before.revision} to ${after.revision}`],
    },
  });
  cleanup(async () => void (await running.terminate()));
  return { clock, files, threads, lines, running, events: () => lines.map(({ event }) => event) };
}

describe('the start', () => {
  test('a configuration that cannot serve is refused with what is wrong', async () => {
    const refused = gateway({ problems: [WRONG], staleFiles: [], secrets: [] });
    await expect(refused).rejects.toMatchObject({ name: 'ConfigRefused', problems: [WRONG] });
  });

  test('every endpoint, route and listener is shown', async () => {
    const { running } = await gateway(
      good(serving([A, B], { listen: [{ host: '127.0.0.1', port: 0, http2: false, limits: {} as never }] })),
    );
    expect(running.status).toBe('ready');
    expect(running.ports).toEqual([40_000]);
    expect(running.pools()).toMatchObject([
      { name: 'orders', panic: false, available: 2, endpoints: [{ url: A, status: [], reason: '' }, { url: B }] },
    ]);
    expect(running.routes()).toEqual([{ name: 'orders', source: 'routes.d/orders.yaml:20:5', row: 2 }]);
  });

  test('an admin address that is taken fails the start and leaves no thread behind', async () => {
    const { running } = await gateway();
    const taken = serving([A], { admin: { host: '127.0.0.1', port: running.adminPort } });
    const threads: FakeThread[] = [];
    await expect(gateway(good(taken), threads)).rejects.toThrow('EADDRINUSE');
    expect(threads.map(({ isAlive }) => isAlive)).toEqual([false, false]);
  });
});

describe('a reload', () => {
  test('reaches all threads, and says what changed', async () => {
    const { files, running, threads } = await gateway();
    const before = running.revision;
    files.now = good(serving([A]));
    const result = await running.reload('test');
    expect(result).toMatchObject({ ok: true, problems: [], changes: [`${before} to ${running.revision}`] });
    expect(threads.map((thread) => thread.kinds().at(-1))).toEqual(['commit 2', 'commit 2']);
    expect(running.pools()[0]!.endpoints).toHaveLength(1);
  });

  test('that a thread refuses changes nothing', async () => {
    const { files, running, threads } = await gateway();
    const before = running.revision;
    threads[1]!.refusal = "pool 'orders': no such balancer";
    files.now = good(serving([A]));
    const result = await running.reload('test');
    expect(result).toEqual({ ok: false, problems: ["pool 'orders': no such balancer"], changes: [], revision: before });
    expect(running.pools()[0]!.endpoints).toHaveLength(2);
    expect(running.reloads).toEqual({ ok: 0, refused: 1 });
  });

  test('of a wrong file leaves its last good version serving, named as stale', async () => {
    const { files, running, events } = await gateway();
    files.now = { config: files.now.config!, problems: [WRONG], staleFiles: [WRONG.file], secrets: [] };
    const result = await running.reload('test');
    expect(result.ok).toBe(false);
    expect(result.problems[0]).toContain("routes.d/orders.yaml:3:5: error: unknown key 'hosst'");
    expect(running.staleFiles).toEqual([WRONG.file]);
    expect(events()).toContain('file_quarantined');
  });

  test('of the same files compiles nothing', async () => {
    const { running, threads } = await gateway();
    const heard = threads[0]!.heard.length;
    expect((await running.reload('test')).ok).toBe(true);
    expect(threads[0]!.heard).toHaveLength(heard);
  });

  test('keeps what only a restart can change, and says so', async () => {
    const { files, running, lines } = await gateway();
    files.now = good(serving([A], { threads: 7, requestIdHeader: 'x-correlation-id' }));
    expect((await running.reload('test')).ok).toBe(true);
    expect(running.config.gateway.threads).not.toBe(7);
    expect(running.config.gateway.requestIdHeader).toBe('x-correlation-id');
    const told = lines.filter(({ event }) => event === 'restart_needed').map(({ key }) => key);
    expect(told).toEqual(['threads']);
  });

  test('follows a changed file by itself', async () => {
    const { files, running } = await gateway();
    files.now = good(serving([A]));
    files.changed();
    for (let turn = 0; turn < 10; turn++) await settle();
    expect(running.pools()[0]!.endpoints).toHaveLength(1);
  });

  test('asked for twice at once runs one after the other, and the last one wins', async () => {
    const { files, running } = await gateway();
    files.now = good(serving([A]));
    const first = running.reload('first');
    files.now = good(serving([B]));
    const last = running.reload('last');
    expect((await first).ok).toBe(true);
    expect((await last).revision).toBe(files.now.config!.revision);
    expect(running.pools()[0]!.endpoints).toMatchObject([{ url: B }]);
  });

  test('gives rows back when the last thread has let go of the generation', async () => {
    const { files, running, threads } = await gateway();
    files.now = good(serving([A]));
    await running.reload('test');
    expect(running.generations).toBe(2);
    for (const thread of threads) thread.say({ kind: 'released', id: 1 });
    expect(running.generations).toBe(1);
  });
});

describe('health', () => {
  test('what threads suspect is ejected, seen and logged with its reason', async () => {
    const { running, threads, lines } = await gateway();
    const { row } = running.pools()[0]!.endpoints[0]!;
    for (let failures = 1; failures <= 5; failures++) running.endpointTable.addFailure(row);
    threads[0]!.say({ kind: 'suspect', row, failures: 5, reason: 'connection_refused' });
    const [endpoint] = running.pools()[0]!.endpoints;
    expect(endpoint).toMatchObject({ status: ['ejected'], ejections: 1, failures: 5 });
    expect(endpoint!.reason).toBe('passive: 5 failures in a row, last connection_refused; ejected for 30 s');
    expect(lines.at(-1)).toMatchObject({ event: 'endpoint_ejected', pool: 'orders', endpoint: A });
  });
});

describe('the end', () => {
  test('readiness fails at once, threads drain with the delay and the timeout, the rest is summed up', async () => {
    const { running, threads, files, clock } = await gateway();
    const ended = running.close();
    expect(running.status).toBe('draining');
    expect(threads[0]!.heard.at(-1)).toEqual({ kind: 'drain', delayMs: 5_000, timeoutMs: 30_000 });
    expect(await ended).toEqual({ cut: 3 });
    expect(threads.map(({ isAlive }) => isAlive)).toEqual([false, false]);
    expect(files.isWatched).toBe(false);
    expect(clock.pending).toBe(0);
  });

  test('the admin server answers until the threads are done', async () => {
    const { running, threads } = await gateway();
    for (const thread of threads) thread.isMute = true;
    const ended = running.close();
    expect((await fetch(`${running.adminAddress}/readyz`)).status).toBe(503);
    for (const thread of threads) thread.say({ kind: 'drained', cut: 0 });
    await ended;
    await expect(fetch(`${running.adminAddress}/readyz`)).rejects.toThrow();
  });

  test('a reload is refused from then on', async () => {
    const { running, files } = await gateway();
    const ended = running.close();
    files.now = good(serving([A]));
    expect(await running.reload('late')).toMatchObject({ ok: false, problems: ['the gateway is shutting down'] });
    await ended;
  });

  test('a reload that was under way is forgotten', async () => {
    const { running, files } = await gateway();
    files.now = good(serving([A]));
    const late = running.reload('late');
    const ended = running.close();
    expect((await late).ok).toBe(false);
    expect(running.pools()[0]!.endpoints).toHaveLength(2);
    await ended;
  });

  test('a second signal waits for nothing', async () => {
    const { running, threads } = await gateway();
    for (const thread of threads) thread.isMute = true;
    const ended = running.close();
    await running.terminate();
    expect(await ended).toEqual({ cut: 0 });
  });
});
