/**
 * One run: a scenario, a balancer, a seed. Clients come at random (a Poisson stream), the shipped gateway serves them on
 * virtual servers, and all that its clients saw is written down. The same seed brings the same clients with the same work
 * to every balancer.
 */
import { seededRandom, type Random } from '../../src/clock.ts';
import type { Exchange } from '../../src/data/exchange.ts';
import { hashString } from '../../src/upstream/choice/string-hash.ts';
import { compiled, urlOf, type Balance } from './compiled.ts';
import { oracle } from './oracle.ts';
import type { Scenario, Stage } from './scenarios.ts';
import type { Visit } from './virtual-client.ts';
import { VirtualClock } from './virtual-clock.ts';
import { VirtualGateway } from './virtual-gateway.ts';
import { VirtualServer } from './virtual-server.ts';

export interface Setting {
  readonly scenario: Scenario;
  readonly balance: Balance;
  readonly seed: number;
  /** Default: the scenario's own. */
  readonly seconds?: number | undefined;
  /** Data threads; each has its own balancers and budgets. */
  readonly threads?: number | undefined;
  /** Instead of what the scenario's own say, key by key. */
  readonly pool?: object | undefined;
  readonly route?: object | undefined;
}

/** `refused`: by a limit of the gateway. `failed`: any other answer that is not good. `left`: the client had no more patience. */
export type Fate = 'good' | 'refused' | 'failed' | 'left';

export interface Ended {
  /** When it came, in the run. */
  readonly atMs: number;
  readonly tookMs: number;
  readonly fate: Fate;
  /** Of the gateway itself, if it was not good. */
  readonly error: string | undefined;
}

export interface Run {
  readonly setting: Setting;
  readonly lengthMs: number;
  readonly asked: number;
  readonly ended: readonly Ended[];
  /** Requests that reached each server. */
  readonly received: readonly number[];
  /** At the end of each second: what clients had sent, and what servers had got. */
  readonly seconds: readonly { readonly asked: number; readonly received: number }[];
  /** What must be nothing when all is over. */
  readonly left: { readonly open: number; readonly inFlight: number; readonly held: number; readonly timers: number };
}

const CLIENTS = 1_000;
const THREADS = 2;
/** No request may last longer. */
const LONGEST_MS = 60_000;
const STEP_MS = 1_000;

export async function simulate(setting: Setting): Promise<Run> {
  return new Simulation(setting).run();
}

class Simulation {
  readonly #setting: Setting;
  readonly #clock = new VirtualClock();
  readonly #servers: readonly VirtualServer[];
  readonly #lengthMs: number;
  readonly #threads: number;
  readonly #arrivals: Random;
  readonly #demands: Random;
  readonly #drawDemand: (random: Random) => number;
  readonly #stage: Stage;
  readonly #ended: Ended[] = [];
  #gateway!: VirtualGateway;
  #asked = 0;

  constructor(setting: Setting) {
    const { scenario, seed, seconds = scenario.seconds, threads = THREADS } = setting;
    this.#setting = setting;
    this.#lengthMs = seconds * 1000;
    this.#threads = threads;
    const failures = this.#chance('failures');
    this.#servers = scenario.servers.map(
      (spec, number) => new VirtualServer(urlOf(number), spec, this.#clock, failures),
    );
    this.#arrivals = this.#chance('arrivals');
    this.#demands = this.#chance('demands');
    this.#drawDemand = seed % 2 === 0 ? exponential : logNormal;
    this.#stage = {
      servers: this.#servers,
      rate: 1,
      at: (share, act) => void this.#clock.after(share * this.#lengthMs, act),
    };
  }

  async run(): Promise<Run> {
    const { scenario, balance, pool, route } = this.#setting;
    const { config, plugins, balancers } = await compiled(scenario, balance, { pool, route });
    this.#gateway = await VirtualGateway.start({
      config,
      plugins,
      balancers: new Map([...balancers, ['oracle', oracle(this.#servers)]]),
      servers: this.#servers,
      threads: this.#threads,
      clock: this.#clock,
      random: this.#chance('gateway'),
      networkRandom: this.#chance('network'),
    });
    scenario.play?.(this.#stage);
    const seconds: { asked: number; received: number }[] = [];
    const count = () => void seconds.push({ asked: this.#asked, received: this.#received });
    const counting = this.#clock.every(1_000, count);
    this.#awaitNext();
    await this.#clock.runUntil(this.#lengthMs);
    counting.cancel();
    await this.#runOut();
    const { open, inFlight, held } = this.#gateway;
    return {
      setting: this.#setting,
      lengthMs: this.#lengthMs,
      asked: this.#asked,
      ended: this.#ended,
      received: this.#servers.map(({ received }) => received),
      seconds,
      left: { open, inFlight, held, timers: this.#clock.pending },
    };
  }

  /** No more clients come: those who are there are served, and then the gateway is closed. */
  async #runOut(): Promise<void> {
    const clock = this.#clock;
    const latest = this.#lengthMs + LONGEST_MS;
    while (this.#gateway.open > 0 && clock.elapsedMs < latest) await clock.runUntil(clock.elapsedMs + STEP_MS);
    await clock.runUntil(clock.elapsedMs + STEP_MS);
    this.#gateway.close();
    // Servers may be at work for clients that have left.
    await clock.runUntil(clock.elapsedMs + LONGEST_MS);
  }

  get #received(): number {
    return this.#servers.reduce((sum, { received }) => sum + received, 0);
  }

  #awaitNext(): void {
    const perMs = (this.#setting.scenario.perSecond * this.#stage.rate) / 1000;
    const gapMs = exponential(this.#arrivals) / perMs;
    if (this.#clock.elapsedMs + gapMs >= this.#lengthMs) return;
    this.#clock.after(gapMs, () => {
      this.#visit();
      this.#awaitNext();
    });
  }

  #visit(): void {
    const random = this.#arrivals;
    const visit: Visit = {
      client: Math.floor(random() * CLIENTS),
      item: Math.floor(random() * CLIENTS),
      method: 'GET',
      demand: this.#drawDemand(this.#demands),
    };
    const thread = Math.floor(random() * this.#threads);
    const atMs = this.#clock.elapsedMs;
    this.#asked++;
    const { patienceMs } = this.#setting.scenario;
    let impatience: { cancel(): void } | undefined;
    const client = this.#gateway.take(visit, thread, (exchange) => {
      impatience?.cancel();
      this.#ended.push(endOf(exchange, atMs, this.#clock.elapsedMs));
    });
    if (patienceMs !== undefined) impatience = this.#clock.after(patienceMs, () => client.leave());
  }

  /** Each source of chance is its own: what one balancer draws changes nothing of what clients do. */
  #chance(name: string): Random {
    return seededRandom(hashString(name, this.#setting.seed));
  }
}

function endOf({ status, clientLeft, error }: Exchange, atMs: number, nowMs: number): Ended {
  return { atMs, tookMs: nowMs - atMs, fate: fateOf(status, clientLeft, error?.type), error: error?.type };
}

function fateOf(status: number, clientLeft: boolean, error: string | undefined): Fate {
  if (clientLeft) return 'left';
  if (status === 429 || error === 'connection_limit_reached') return 'refused';
  return status >= 200 && status < 400 ? 'good' : 'failed';
}

/** Mean 1: service of which nobody can say how much of it is left. */
function exponential(random: Random): number {
  return -Math.log(1 - random());
}

/** Mean 1, and its median three quarters of that: what most services look like. */
const SIGMA = 0.75;
function logNormal(random: Random): number {
  const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return Math.exp(SIGMA * normal - SIGMA ** 2 / 2);
}
