/** `aya demo`: a fleet of small services, the gateway in front of them, and things to try. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, cpSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../clock.ts';
import { check } from '../demo/check.ts';
import { COMES_BACK_MS, Instance, ROLES } from '../demo/fleet.ts';
import { end, isFree, run, sleep } from '../demo/processes.ts';

const PORT = 8080;
const ADMIN_PORT = 9901;
const GATEWAY = `http://localhost:${PORT}`;
const ADMIN = `http://localhost:${ADMIN_PORT}`;
const READY_TIMEOUT_MS = 20_000;

export interface DemoOptions {
  /** Plays the story once by itself and rejects when a GET fails, instead of waiting for a reader to try. */
  readonly check?: boolean;
}

/** Resolves after Ctrl-C, or when the check has passed; every process it started is gone by then. */
export async function demo(options: DemoOptions = {}): Promise<void> {
  await refuseTakenPorts();
  const interrupted = Promise.race(['SIGINT', 'SIGTERM', 'SIGHUP'].map((signal) => once(process, signal)));
  const work = mkdtempSync(join(tmpdir(), 'aya-demo-'));
  const fleet = ROLES.map((role) => new Instance(role, systemClock, (event) => console.log(`  · ${event}`)));
  let gateway: ChildProcess | undefined;
  try {
    await Promise.all(fleet.map((instance) => instance.start()));
    const dir = servedDirectory(work);
    const log = join(work, 'gateway.log');
    gateway = startGateway(dir, log);
    const story = async () => {
      await ready();
      if (options.check === true) return check(GATEWAY, fleet, systemClock);
      console.log(whatToTry(fleet, dir, log));
      await interrupted;
    };
    await Promise.race([story(), interrupted, failure(gateway, log)]);
  } finally {
    await Promise.all([...fleet.map((instance) => instance.stop()), gateway && end(gateway, systemClock)]);
    rmSync(work, { recursive: true, force: true });
  }
}

async function refuseTakenPorts(): Promise<void> {
  const wanted = [
    { port: PORT, host: '0.0.0.0', what: 'the gateway' },
    { port: ADMIN_PORT, host: '127.0.0.1', what: 'its admin server' },
    ...ROLES.map(({ service, port }) => ({ port, host: '127.0.0.1', what: service })),
  ];
  const free = await Promise.all(wanted.map(({ port, host }) => isFree(port, host)));
  const taken = wanted.filter((_, index) => free[index] === false).map(({ port, what }) => `${port} (${what})`);
  if (taken.length > 0) throw new Error(`the demo needs ports that another process holds: ${taken.join(', ')}`);
}

/** In a clone its own routes.d, to be edited; an installed package is left as it is and a copy is served. */
function servedDirectory(work: string): string {
  const root = packageRoot(dirname(fileURLToPath(import.meta.url)));
  if (import.meta.url.endsWith('.ts')) return root;
  for (const part of ['routes.d', 'gateway.yaml']) {
    if (existsSync(join(root, part))) cpSync(join(root, part), join(work, part), { recursive: true });
  }
  return work;
}

function packageRoot(dir: string): string {
  return existsSync(join(dir, 'package.json')) ? dir : packageRoot(dirname(dir));
}

function startGateway(dir: string, log: string): ChildProcess {
  const file = openSync(log, 'w');
  const gateway = run('main', ['start', dir], ['ignore', file, file]);
  closeSync(file);
  return gateway;
}

async function ready(): Promise<void> {
  const deadline = systemClock.now() + READY_TIMEOUT_MS;
  while (systemClock.now() < deadline) {
    const status = await fetch(`${ADMIN}/readyz`).then(
      (response) => response.status,
      () => 0, // it does not listen yet
    );
    if (status === 200) return;
    await sleep(systemClock, 50);
  }
  throw new Error(`the gateway was not ready within ${READY_TIMEOUT_MS / 1000} s`);
}

/** Never resolves: rejects when the gateway ends although nobody asked it to. */
async function failure(gateway: ChildProcess, log: string): Promise<never> {
  const [code, signal] = (await once(gateway, 'exit')) as [number | null, string | null];
  const said = readFileSync(log, 'utf8').trim().split('\n').slice(-10).join('\n');
  throw new Error(`the gateway ended (${signal ?? code}):\n${said}`);
}

function whatToTry(fleet: readonly Instance[], dir: string, log: string): string {
  const rows = fleet.map(({ role: { service, port, slow, flaky }, pid }) => {
    const habit = slow !== undefined ? `takes ${slow}` : flaky !== undefined ? `fails ${flaky} of requests` : '';
    return `  ${service.padEnd(16)}127.0.0.1:${port}   pid ${String(pid).padEnd(8)} ${habit}`.trimEnd();
  });
  const [hanging, victim] = fleet.filter(({ role }) => role.service === 'users');
  const spread = (path: string) =>
    `for i in $(seq 30); do curl -s ${GATEWAY}${path}; done | grep '"port"' | sort | uniq -c`;
  return `
A fleet of ${fleet.length} instances, each a process of its own, and Aya in front of them.

${rows.join('\n')}

  gateway ${GATEWAY}    admin ${ADMIN}    access log ${log}

Try this in another terminal.

1. Ask for something. The answer names the instance that gave it, and shows what the gateway added to your request.
     curl -si ${GATEWAY}/users/1

2. See the load spread over the instances, and the slow one get less.
     ${spread('/users')}
     ${spread('/orders')}

3. Kill an instance. Nobody gets an error; the others take its load. It comes back after ${COMES_BACK_MS / 1000} s, and so does its load.
     kill -9 ${victim?.pid}
     ${spread('/users')}
   Or let one hang: it takes connections and answers nobody. Those who ask it first wait for a second, then another answers.
     kill -STOP ${hanging?.pid}        later: kill -CONT ${hanging?.pid}

4. Read what the gateway thinks of each endpoint, and why.
     curl -s ${ADMIN}/pools

5. Change a route while traffic flows: give the route in ${join(dir, 'routes.d', 'users.yaml')} the line
       headers: { response: { set: { x-hello: world } } }
   save, and ask again. Then misspell it: the last good version goes on serving.
     curl -si ${GATEWAY}/users/1 | grep -i x-hello

Ctrl-C ends all of it.
`;
}
