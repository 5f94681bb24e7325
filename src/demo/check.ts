/**
 * `aya demo --check`: the demo's own story, played once and checked. An instance is killed: its load moves to the
 * others and no client notices; it comes back: so does its load.
 */
import type { Clock } from '../clock.ts';
import type { Instance } from './fleet.ts';
import { sleep } from './processes.ts';

const REQUESTS = 120;
const CLIENTS = 6;
/** Restart, two good probes and the rest of an ejection. */
const RETURN_TIMEOUT_MS = 60_000;

/** How many answers each port gave. */
interface Spread {
  readonly answers: ReadonlyMap<number, number>;
  readonly failures: readonly string[];
}

/** @param instances those behind `url`. Rejects with what did not hold. */
export async function check(url: string, instances: readonly Instance[], clock: Clock): Promise<void> {
  const ports = instances.map(({ role }) => role.port);
  const victim = instances[1];
  if (victim === undefined) throw new Error('the check needs a second instance to kill');
  const killed = victim.role.port;
  console.log(`${REQUESTS} requests to ${url}, answers by instance:\n`);
  console.log(['', ...ports, 'failed'].map(column).join(''));

  const whole = show('all are up', ports, await ask(url));
  expect(
    'each instance answers at first',
    ports.every((port) => whole.answers.has(port)),
  );

  process.kill(victim.pid, 'SIGKILL');
  const without = show(`${killed} killed`, ports, await ask(url));
  expect('the killed instance answers nobody', !without.answers.has(killed));
  expect(
    'the others take its load',
    ports.every((port) => port === killed || without.answers.has(port)),
  );

  const waitedMs = await untilItAnswers(url, killed, clock);
  const again = show(`${killed} is back`, ports, await ask(url));
  expect(
    'each instance answers in the end',
    ports.every((port) => again.answers.has(port)),
  );
  console.log(`\nIt answered again ${(waitedMs / 1000).toFixed(1)} s after it was killed.`);
}

async function ask(url: string, requests = REQUESTS): Promise<Spread> {
  const answers = new Map<number, number>();
  const failures: string[] = [];
  let left = requests;
  const client = async () => {
    while (left-- > 0) {
      const port = await answeringPort(url).catch((error: Error) => error.message);
      if (typeof port === 'string') failures.push(port);
      else answers.set(port, (answers.get(port) ?? 0) + 1);
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
  return { answers, failures };
}

async function answeringPort(url: string): Promise<number> {
  const response = await fetch(url);
  const text = await response.text();
  if (!response.ok) throw new Error(`${response.status}: ${text}`);
  return (JSON.parse(text) as { instance: { port: number } }).instance.port;
}

/** Milliseconds that it took. */
async function untilItAnswers(url: string, port: number, clock: Clock): Promise<number> {
  const begun = clock.now();
  while (clock.now() - begun < RETURN_TIMEOUT_MS) {
    if ((await ask(url, 3 * CLIENTS)).answers.has(port)) return clock.now() - begun;
    await sleep(clock, 250);
  }
  throw new Error(`the instance on ${port} got no load within ${RETURN_TIMEOUT_MS / 1000} s of being killed`);
}

function show(when: string, ports: readonly number[], spread: Spread): Spread {
  const counts = ports.map((port) => spread.answers.get(port) ?? '–');
  console.log([when, ...counts, spread.failures.length].map(column).join(''));
  expect(`no request fails (${spread.failures[0]})`, spread.failures.length === 0);
  return spread;
}

const column = (cell: string | number, index: number) =>
  index === 0 ? String(cell).padEnd(14) : String(cell).padStart(8);

function expect(what: string, holds: boolean): void {
  if (!holds) throw new Error(`the demo did not hold: ${what}`);
}
