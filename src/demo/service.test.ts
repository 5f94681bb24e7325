import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { seededRandom, systemClock, type Clock } from '../clock.ts';
import { createService, type ServiceOptions } from './service.ts';

const users: ServiceOptions = { name: 'users', port: 7101, slowMs: 0, flaky: 0 };
const servers = new Set<ReturnType<typeof createService>>();

afterEach(() => {
  for (const server of servers) server.close().closeAllConnections();
  servers.clear();
});

async function serve(options: ServiceOptions, clock: Clock = systemClock): Promise<string> {
  const server = createService(options, clock, seededRandom(7)).listen(0, '127.0.0.1');
  servers.add(server);
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('an answer names the instance and shows the request as it arrived', async () => {
  const origin = await serve(users);
  const response = await fetch(`${origin}/v1/users/2?verbose`, { headers: { 'x-env': 'prod' } });
  expect(await response.json()).toMatchObject({
    instance: { service: 'users', port: 7101, pid: process.pid },
    data: { id: 2, name: 'Alan Turing' },
    request: { method: 'GET', path: '/v1/users/2?verbose', headers: { 'x-env': 'prod' } },
  });
});

test('an id that nobody has is not found', async () => {
  expect((await fetch(`${await serve(users)}/users/99`)).status).toBe(404);
});

test('a flaky instance fails its share of requests and stays healthy', async () => {
  const origin = await serve({ ...users, flaky: 0.5 });
  const statuses: number[] = [];
  for (let request = 0; request < 40; request++) statuses.push((await fetch(`${origin}/users`)).status);
  expect(statuses.filter((status) => status === 503).length).toBeGreaterThan(10);
  expect(statuses.filter((status) => status === 200).length).toBeGreaterThan(10);
  for (let probe = 0; probe < 10; probe++) expect((await fetch(`${origin}/healthz`)).status).toBe(200);
});

test('a slow instance answers only when its time is up', async () => {
  let release: (() => void) | undefined;
  const asked = Promise.withResolvers<number>();
  const after: Clock['after'] = (delayMs, run) => {
    release = run;
    asked.resolve(delayMs);
    return { cancel: () => undefined };
  };
  const origin = await serve({ ...users, slowMs: 200 }, { ...systemClock, after });
  let answered = false;
  const answer = fetch(`${origin}/users`).then(() => (answered = true));
  expect(await asked.promise).toBe(200);
  await fetch(`${origin}/healthz`); // a whole round trip later
  expect(answered).toBe(false);
  release?.();
  await answer;
});
