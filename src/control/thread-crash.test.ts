import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { cleanup } from '../../test/support/cleanup.ts';
import { until } from '../../test/support/until.ts';
import { hang, startUpstream } from '../../test/support/upstream.ts';
import { startGateway } from './gateway.ts';
import { spawnWorker, type ThreadLine } from './thread-line.ts';

/** A gateway with two real threads, and a hand on each. */
async function twoThreads(upstream: string) {
  const dir = await mkdtemp(join(tmpdir(), 'aya-crash-'));
  await mkdir(join(dir, 'routes.d'));
  const gatewayFile = {
    listen: [{ host: '127.0.0.1', port: 0 }],
    threads: 2,
    admin: { port: 0 },
    accessLog: { enabled: false },
  };
  const routes = { pools: { a: { endpoints: [upstream] } }, routes: [{ name: 'a', match: { path: '/*' }, pool: 'a' }] };
  await writeFile(join(dir, 'gateway.yaml'), JSON.stringify(gatewayFile));
  await writeFile(join(dir, 'routes.d', 'a.yaml'), JSON.stringify(routes));

  const threads: ThreadLine[] = [];
  const lines: { event?: string }[] = [];
  const gateway = await startGateway({
    dir,
    log: (line) => lines.push(JSON.parse(line)),
    spawn(data) {
      const thread = spawnWorker(data);
      threads.push(thread);
      return thread;
    },
  });
  cleanup(async () => {
    await gateway.terminate();
    await rm(dir, { recursive: true, force: true });
  });
  return { gateway, threads, lines };
}

/** On a connection of its own, so that threads take turns. */
function ask(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request({ port, host: '127.0.0.1', agent: false }, (response) => {
      response.resume().on('end', () => resolve(response.statusCode!));
    });
    sent.on('error', reject).end();
  });
}

test('a thread that dies is soon replaced, and the other one serves meanwhile', async () => {
  const upstream = await startUpstream('a');
  const { gateway, threads, lines } = await twoThreads(upstream.url);
  const [port] = gateway.ports;
  await threads[1]!.terminate();
  expect(gateway.threads().map(({ state }) => state)).toEqual(['up', 'down']);

  const during = await Promise.all(Array.from({ length: 20 }, () => ask(port!)));
  expect(new Set(during)).toEqual(new Set([200]));

  await until(() => gateway.threads()[1]!.state === 'up', 'the thread is back', 3_000);
  expect(gateway.threads()[1]!.restarts).toBe(1);
  expect(lines.map(({ event }) => event)).toContain('thread_restarted');
  const after = await Promise.all(Array.from({ length: 20 }, () => ask(port!)));
  expect(new Set(after)).toEqual(new Set([200]));
});

test('what a dead thread had in flight is no longer counted', async () => {
  const upstream = await startUpstream('a', hang);
  const { gateway, threads } = await twoThreads(upstream.url);
  const asked = Array.from({ length: 20 }, () => ask(gateway.ports[0]!).catch(() => 0));
  const inFlight = () => gateway.pools()[0]!.endpoints[0]!.inFlight;
  await until(() => inFlight() === 20, 'all are in flight');
  await threads[0]!.terminate();
  await threads[1]!.terminate();
  expect(inFlight()).toBe(0);
  await Promise.all(asked);
});
