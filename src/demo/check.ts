/**
 * `aya demo --check`: the demo's own story, played once and checked. Under steady traffic one instance is killed, hangs and
 * flaps, another is slow, a third fails one request in ten: no GET fails, and whoever is well again has its load again.
 */
import type { Clock } from '../clock.ts';
import type { Instance } from './fleet.ts';
import { sleep } from './processes.ts';
import { Traffic, type Spread } from './traffic.ts';

const PER_SECOND = 100;
/** Long enough for each instance to be asked dozens of times. */
const ACT_MS = 2_000;
/** Until the hang is noticed and the instance ejected, and a while after. */
const HANG_MS = 4_000;
const FLAPS = 3;
const FLAP_MS = 350;
/** Restart, two good probes and the rest of an ejection. */
const RETURN_TIMEOUT_MS = 60_000;

/** @param gateway its origin. @param fleet all instances behind it. Rejects with what did not hold. */
export async function check(gateway: string, fleet: readonly Instance[], clock: Clock): Promise<void> {
  await breakOne(new Stage(gateway, 'users', fleet, clock));
  await watch(new Stage(gateway, 'orders', fleet, clock), 'one takes 200 ms');
  await watch(new Stage(gateway, 'catalogue', fleet, clock), 'one in ten fails');
}

/** One instance of three breaks in every way that an instance can, and each time comes back. */
async function breakOne(stage: Stage): Promise<void> {
  const victim = stage.instances[1]!;
  const { port } = victim.role;
  const without = (spread: Spread) => {
    const answers = (instance: Instance) => spread.answers.has(instance.role.port);
    expect('the others take its load', stage.instances.filter(answers).length >= stage.instances.length - 1);
  };
  try {
    await stage.pass('all are up', ACT_MS, (spread) => expectAll(stage, spread));

    const killedAt = stage.clock.now();
    victim.kill();
    await stage.pass(`${port} killed`, ACT_MS, without);
    await stage.until(port);
    const awayMs = stage.clock.now() - killedAt;
    await stage.pass('it is back', ACT_MS, (spread) => expectAll(stage, spread));

    victim.hang();
    await stage.pass(`${port} hangs`, HANG_MS, without);
    victim.goOn();
    await stage.until(port);
    await stage.pass('it is back', ACT_MS, (spread) => expectAll(stage, spread));

    for (let flap = 0; flap < FLAPS; flap++) {
      victim.kill(FLAP_MS);
      await victim.isUp();
      await sleep(stage.clock, FLAP_MS);
    }
    await stage.pass(`${port} flaps`, 0, without);
    await stage.until(port);
    await stage.pass('it is back', ACT_MS, (spread) => expectAll(stage, spread));
    console.log(`\nIt answered again ${(awayMs / 1000).toFixed(1)} s after it was killed.`);
  } finally {
    victim.goOn();
    stage.end();
  }
}

/** Those that are as they are: nobody breaks, one is never well. */
async function watch(stage: Stage, what: string): Promise<void> {
  try {
    await stage.pass(what, ACT_MS);
  } finally {
    stage.end();
  }
}

/** One service under traffic, and the table of what came of it. */
class Stage {
  readonly clock: Clock;
  readonly instances: readonly Instance[];
  readonly #traffic: Traffic;

  constructor(gateway: string, service: string, fleet: readonly Instance[], clock: Clock) {
    this.clock = clock;
    this.instances = fleet.filter(({ role }) => role.service.startsWith(service));
    this.#traffic = new Traffic(`${gateway}/${service}`, PER_SECOND, clock);
    const ports = this.instances.map(({ role }) => role.port);
    console.log(`\nGET /${service}, ${PER_SECOND} a second. Answers by instance:\n`);
    console.log(['', ...ports, 'failed', 'slowest'].map(column).join(''));
  }

  /** A row for what was sent since the last one, and for `forMs` more. */
  async pass(act: string, forMs: number, holds: (spread: Spread) => void = () => undefined): Promise<void> {
    await sleep(this.clock, forMs);
    const spread = await this.#traffic.take();
    const counts = this.instances.map(({ role }) => spread.answers.get(role.port) ?? '–');
    const cells = [act, ...counts, spread.failures.length, `${Math.ceil(spread.slowestMs)} ms`];
    console.log(cells.map(column).join(''));
    expectNoFailure(spread);
    holds(spread);
  }

  /** Resolves when the instance has load again; what was sent meanwhile counts as well. */
  async until(port: number): Promise<void> {
    const deadline = this.clock.now() + RETURN_TIMEOUT_MS;
    while (this.clock.now() < deadline) {
      await sleep(this.clock, 250);
      const spread = await this.#traffic.take();
      expectNoFailure(spread);
      if (spread.answers.has(port)) return;
    }
    throw new Error(`the instance on ${port} got no load within ${RETURN_TIMEOUT_MS / 1000} s of being well again`);
  }

  end(): void {
    this.#traffic.stop();
  }
}

const column = (cell: string | number, index: number) =>
  index === 0 ? String(cell).padEnd(18) : String(cell).padStart(10);

function expectAll({ instances }: Stage, { answers }: Spread): void {
  expect(
    'each instance has its load',
    instances.every(({ role }) => answers.has(role.port)),
  );
}

function expectNoFailure({ failures }: Spread): void {
  expect(`no GET fails (${failures[0]})`, failures.length === 0);
}

function expect(what: string, holds: boolean): void {
  if (!holds) throw new Error(`the demo did not hold: ${what}`);
}
