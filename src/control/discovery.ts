/**
 * Follows the sources that pools name under `discover`: what they told last that was good stays until something better
 * comes, however long they are away. A set that differs is a new plan like any other; this only says when one is due.
 * Pools that ask the same of the same source share it.
 */
import type { Clock, Random, Timer } from '../clock.ts';
import type { Config, DiscoverConfig, EndpointConfig, PoolConfig } from '../config/schema.ts';
import {
  describeSource,
  type Answer,
  type DiscoverySource,
  type Instance,
  type SourceDefinitions,
} from '../discovery/source.ts';
import { pause } from '../pause.ts';
import type { ControlLog } from './log.ts';
import type { DiscoveryView } from './view.ts';

/** For this long a start and a reload wait for sources that have never answered. */
const FIRST_ANSWER_MS = 3_000;
/** Sources that change together are one plan, and those that never rest are one each second. */
const DEBOUNCE_MS = 100;
const SPACING_MS = 1_000;
/** After a plan that was refused, or a source that broke. */
const AGAIN_MS = 5_000;
/** Nobody reads more of them in a log. */
const MOST_TOLD = 20;

export interface DiscoveryParts {
  readonly definitions: SourceDefinitions;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: ControlLog;
  /** Brings `complete` of now to all threads; rejects when it cannot. */
  readonly install: () => Promise<void>;
}

export class Discovery {
  readonly #parts: DiscoveryParts;
  readonly #followed = new Map<string, Followed>();
  readonly #closing = new AbortController();
  #due: Timer | undefined;
  #lastChangeAt = -Infinity;

  constructor(parts: DiscoveryParts) {
    this.#parts = parts;
  }

  /** Follows the sources of this configuration too. Resolves when each has answered, or has had its time. */
  async begin(config: Config): Promise<void> {
    const fresh: Followed[] = [];
    for (const { discover } of config.pools) {
      if (discover === undefined || this.#followed.has(keyOf(discover))) continue;
      const followed = new Followed(discover, config.dir, this.#parts, () => this.#schedule(DEBOUNCE_MS));
      this.#followed.set(keyOf(discover), followed);
      fresh.push(followed);
    }
    if (fresh.length === 0) return;
    const answered = new AbortController();
    const timeUp = pause(this.#parts.clock, FIRST_ANSWER_MS, AbortSignal.any([answered.signal, this.#closing.signal]));
    await Promise.race([Promise.all(fresh.map(({ asked }) => asked)), timeUp.catch(() => {})]);
    answered.abort();
    for (const followed of fresh) followed.take().tell();
  }

  /** From now on these sources and no others. */
  follow(config: Config): void {
    const wanted = new Set(config.pools.flatMap(({ discover }) => (discover === undefined ? [] : keyOf(discover))));
    for (const [key, followed] of this.#followed) {
      if (wanted.has(key)) continue;
      followed.close();
      this.#followed.delete(key);
    }
  }

  /** The same configuration with the endpoints that were found. */
  complete(config: Config): Config {
    if (config.pools.every(({ discover }) => discover === undefined)) return config;
    return { ...config, pools: config.pools.map((pool) => this.#completePool(pool)) };
  }

  viewOf({ discover }: PoolConfig): DiscoveryView | undefined {
    return discover && this.#followed.get(keyOf(discover))?.view;
  }

  close(): void {
    this.#closing.abort();
    this.#due?.cancel();
    for (const followed of this.#followed.values()) followed.close();
  }

  #completePool(pool: PoolConfig): PoolConfig {
    const { discover } = pool;
    if (discover === undefined) return pool;
    // What the file says of an endpoint counts more than what was found.
    const endpoints = new Map(pool.endpoints.map((endpoint) => [endpoint.url, endpoint]));
    for (const instance of this.#followed.get(keyOf(discover))?.serving ?? []) {
      const endpoint = endpointOf(instance, discover);
      if (!endpoints.has(endpoint.url)) endpoints.set(endpoint.url, endpoint);
    }
    return { ...pool, endpoints: [...endpoints.values()] };
  }

  #schedule(delayMs: number): void {
    if (this.#due !== undefined || this.#closing.signal.aborted) return;
    const { clock } = this.#parts;
    const spacingMs = this.#lastChangeAt + SPACING_MS - clock.now();
    this.#due = clock.after(Math.max(delayMs, spacingMs), () => void this.#change());
  }

  async #change(): Promise<void> {
    const changed = [...this.#followed.values()].filter((followed) => followed.isBehind);
    const changes = changed.map((followed) => followed.take());
    try {
      if (changed.length > 0) await this.#parts.install();
      for (const change of changes) change.tell();
    } catch (error) {
      for (const change of changes) change.undo((error as Error).message);
    }
    this.#due = undefined;
    this.#lastChangeAt = this.#parts.clock.now();
    // Also what came while the threads compiled.
    if ([...this.#followed.values()].some((followed) => followed.isBehind)) {
      this.#schedule(changed.some((followed) => followed.isBehind) ? AGAIN_MS : DEBOUNCE_MS);
    }
  }
}

/** What is asked, and of whom; what the pool makes of the answer is its own. */
function keyOf({ scheme: _, port: __, ...asked }: DiscoverConfig): string {
  return JSON.stringify(asked);
}

function endpointOf(
  { scheme, host, port, weight, backup, priority = 0, zone }: Instance,
  discover: DiscoverConfig,
): EndpointConfig {
  const url = new URL(`${scheme ?? discover.scheme ?? 'http'}://${host}`);
  url.port = String(port ?? discover.port ?? '');
  const where = zone === undefined ? {} : { zone };
  return { url: url.origin, weight, priority, backup, ...where, discoveredBy: describeSource(discover) };
}

/** One source: what it told last, and what of that serves. */
class Followed {
  /** Resolves with its first answer, good or not. */
  readonly asked: Promise<void>;
  /** What the plans are made with. */
  serving: readonly Instance[] = [];
  readonly #discover: DiscoverConfig;
  readonly #parts: DiscoveryParts;
  readonly #onNews: () => void;
  readonly #closing = new AbortController();
  readonly #source: DiscoverySource;
  #answered = () => {};
  /** A plan has been made with it. */
  #isPlanned = false;
  #again: Timer | undefined;
  /** The last that was good, in a fixed order. */
  #latest: readonly Instance[] | undefined;
  #foundAt: number | undefined;
  /** Why its last answer was none. */
  #failure: string | undefined;
  /** Why what it told last cannot serve. */
  #refusal: string | undefined;
  #failures = 0;

  constructor(discover: DiscoverConfig, dir: string, parts: DiscoveryParts, onNews: () => void) {
    const { definitions, clock, random } = parts;
    this.#discover = discover;
    this.#parts = parts;
    this.#onNews = onNews;
    this.asked = new Promise((resolve) => (this.#answered = resolve));
    this.#source = definitions.get(discover.kind)!.create(discover as never, { dir, clock, random });
    void this.#watch();
  }

  /** It has told something that does not serve yet. */
  get isBehind(): boolean {
    return this.#isPlanned && this.#latest !== undefined && !isSame(this.#latest, this.serving);
  }

  get view(): DiscoveryView {
    const ageMs = this.#foundAt === undefined ? undefined : this.#parts.clock.now() - this.#foundAt;
    const source = describeSource(this.#discover);
    const failure = this.#failure ?? this.#refusal;
    return { source, endpoints: this.serving.length, failure, failures: this.#failures, ageMs };
  }

  /** Serves what it told last. @returns how to say so once it does, and how to go back when it cannot. */
  take(): { tell(): void; undo(reason: string): void } {
    const before = this.serving;
    this.serving = this.#latest ?? before;
    this.#isPlanned = true;
    return {
      tell: () => {
        this.#refusal = undefined;
        if (!isSame(before, this.serving)) this.#tellChange(before);
      },
      undo: (reason) => {
        this.serving = before;
        this.#count(reason, this.#refusal);
        this.#refusal = reason;
      },
    };
  }

  close(): void {
    this.#closing.abort();
    this.#again?.cancel();
  }

  async #watch(): Promise<void> {
    const { signal } = this.#closing;
    try {
      for await (const answer of this.#source.watch(signal)) {
        if (signal.aborted) return;
        this.#hear(answer);
      }
    } catch (error) {
      this.#hear(error as Error);
    }
    // A source that ends by itself is broken, and no reason to follow it no longer.
    if (!signal.aborted) this.#again = this.#parts.clock.after(AGAIN_MS, () => void this.#watch());
  }

  #hear(answer: Answer): void {
    const fault = answer instanceof Error ? answer.message : this.#faultOf(answer);
    if (fault === undefined) {
      this.#succeed(answer as readonly Instance[]);
    } else {
      this.#count(fault, this.#failure);
      this.#failure = fault;
    }
    this.#answered();
  }

  #faultOf(instances: readonly Instance[]): string | undefined {
    // A registry that has just been started knows nobody: nothing is less credible than that all have left at once.
    if (instances.length === 0) return 'an empty list';
    const { max } = this.#discover;
    return instances.length > max
      ? `${instances.length} endpoints: at most ${max} are taken (discover.max)`
      : undefined;
  }

  #succeed(instances: readonly Instance[]): void {
    this.#foundAt = this.#parts.clock.now();
    this.#latest = inOrder(instances);
    if (this.#failure !== undefined) {
      const source = describeSource(this.#discover);
      this.#parts.log.info({ event: 'discovery_recovered', source }, `${source}: answers again`);
      this.#failure = undefined;
    }
    if (this.isBehind) this.#onNews();
  }

  /** Each is counted; what goes on is said once. */
  #count(reason: string, before: string | undefined): void {
    this.#failures += 1;
    if (reason === before) return;
    const source = describeSource(this.#discover);
    const serves = this.serving.length;
    const meanwhile = serves === 0 ? 'no endpoint to serve with' : `the ${serves} found before serve on`;
    this.#parts.log.warn({ event: 'discovery_failed', source, reason, serves }, `${source}: ${reason}; ${meanwhile}`);
  }

  #tellChange(before: readonly Instance[]): void {
    const source = describeSource(this.#discover);
    const had = new Set(before.map(addressOf));
    const has = new Set(this.serving.map(addressOf));
    const joined = [...has].filter((address) => !had.has(address));
    const left = [...had].filter((address) => !has.has(address));
    const told = { joined: joined.slice(0, MOST_TOLD), left: left.slice(0, MOST_TOLD) };
    const message = `${source}: ${has.size} endpoints, ${joined.length} joined, ${left.length} left`;
    this.#parts.log.info({ event: 'endpoints_discovered', source, endpoints: has.size, ...told }, message);
  }
}

const addressOf = ({ scheme, host, port }: Instance) =>
  `${scheme === undefined ? '' : `${scheme}://`}${host}${port === undefined ? '' : `:${port}`}`;

const textOf = (instance: Instance) => {
  const { backup, priority = 0, weight, zone = '' } = instance;
  return `${addressOf(instance)} ${backup} ${priority} ${weight} ${zone}`;
};

/** Each address once, as no backup where it is both; name servers turn the order round with each answer. */
function inOrder(instances: readonly Instance[]): Instance[] {
  const sorted = [...instances].sort((a, b) => (textOf(a) < textOf(b) ? -1 : 1));
  return sorted.filter((instance, at) => at === 0 || addressOf(instance) !== addressOf(sorted[at - 1]!));
}

function isSame(some: readonly Instance[], others: readonly Instance[]): boolean {
  return some.length === others.length && some.every((instance, at) => textOf(instance) === textOf(others[at]!));
}
