/**
 * Every endpoint that any living generation knows: which row of the shared table it has, whether it may be used, why not
 * and since when. Rows follow `endpointKey`, so an endpoint keeps its state through reloads. All changes of status in
 * the process go through `set`, which is what gives each of them a reason.
 */
import type { Clock } from '../clock.ts';
import type { Config, EndpointConfig, PoolConfig } from '../config/schema.ts';
import { ENDPOINT, type EndpointTable } from '../memory/endpoint-table.ts';
import { isAvailable } from '../upstream/candidates.ts';
import { endpointKey, poolKey } from '../upstream/identity.ts';
import { RowAllocator } from './row-allocator.ts';
import type { StatusChange } from './view.ts';

/** Changes of status that an endpoint remembers. */
const HISTORY = 10;

export interface RegisteredEndpoint {
  readonly key: string;
  readonly row: number;
  readonly url: string;
  /** As the serving configuration has them; weight and backup change without a new identity. */
  readonly pool: PoolConfig;
  readonly config: EndpointConfig;
  /** The oldest first. */
  readonly history: readonly StatusChange[];
  readonly knownSince: number;
}

interface Entry extends RegisteredEndpoint {
  pool: PoolConfig;
  config: EndpointConfig;
  readonly history: StatusChange[];
}

export interface EndpointChange {
  readonly endpoint: RegisteredEndpoint;
  /** Of ENDPOINT. */
  readonly bit: number;
  readonly on: boolean;
  readonly reason: string;
}

/** Refuses the reload that would need more rows than there are. */
export class RegistryFull extends Error {
  override readonly name = 'RegistryFull';
}

export class EndpointRegistry {
  readonly #table: EndpointTable;
  readonly #clock: Clock;
  readonly #rows: RowAllocator;
  readonly #entries = new Map<number, Entry>();
  /** Of the serving configuration. */
  #pools: ReadonlyMap<string, readonly RegisteredEndpoint[]> = new Map();
  /** Of the serving configuration: the row of each pool, by its name. */
  #poolRows: ReadonlyMap<string, number> = new Map();
  readonly #listeners: ((change: EndpointChange) => void)[] = [];
  readonly #reset: (row: number) => void;

  /** @param reset empties the row in other tables before another endpoint gets it. */
  constructor(table: EndpointTable, clock: Clock, reset: (row: number) => void = () => {}) {
    this.#table = table;
    this.#clock = clock;
    this.#reset = reset;
    this.#rows = new RowAllocator(table.capacity, clock);
  }

  /** Gives rows to all endpoints of a generation and to its pools, all or none. @throws RegistryFull */
  hold(generation: number, config: Config): ReadonlyMap<string, number> {
    const wanted = identities(config);
    const pools = config.pools.map(poolKey);
    this.#refuseTooMany([...wanted.keys(), ...pools]);
    const rows = new Map<string, number>();
    for (const [key, { pool, endpoint }] of wanted) {
      const { row, isNew } = this.#rows.hold(generation, key)!;
      rows.set(key, row);
      if (!isNew) continue;
      this.#table.reset(row);
      this.#reset(row);
      const entry = {
        key,
        row,
        url: endpoint.url,
        pool,
        config: endpoint,
        history: [],
        knownSince: this.#clock.wall(),
      };
      this.#entries.set(row, entry);
      // Before any thread can pick it.
      if (!this.#joinsOthers(pool, wanted)) continue;
      if (pool.health.active === undefined) this.#table.setStartedAt(row, this.#now);
      else this.set(entry, ENDPOINT.joining, true, 'joined: waits for its first good probe');
    }
    for (const key of pools) {
      const { row, isNew } = this.#rows.hold(generation, key)!;
      rows.set(key, row);
      if (isNew) this.#table.reset(row);
    }
    return rows;
  }

  /** The configuration serves from now on: its weights are the ones to show, its pools the ones to watch. */
  commit(config: Config, rows: ReadonlyMap<string, number>): void {
    const pools = new Map<string, RegisteredEndpoint[]>(config.pools.map((pool) => [pool.name, []]));
    for (const [key, { pool, endpoint }] of identities(config)) {
      const entry = this.#entries.get(rows.get(key)!)!;
      entry.pool = pool;
      entry.config = endpoint;
      pools.get(pool.name)!.push(entry);
    }
    this.#pools = pools;
    this.#poolRows = new Map(config.pools.map((pool) => [pool.name, rows.get(poolKey(pool))!]));
  }

  /** No thread serves from the generation any more. */
  release(generation: number): void {
    this.#rows.release(generation, (row) => this.#entries.delete(row));
  }

  /** Whoever has the row now; undefined when it is free. */
  at(row: number): RegisteredEndpoint | undefined {
    return this.#entries.get(row);
  }

  /** The pool that has the row; undefined when none has. */
  poolAt(row: number): string | undefined {
    for (const [name, own] of this.#poolRows) if (own === row) return name;
    return undefined;
  }

  /** Where its breaker and its budget lie; undefined when it does not serve. */
  rowOfPool(pool: string): number | undefined {
    return this.#poolRows.get(pool);
  }

  /** Whether the serving configuration still has it. */
  isServing(endpoint: RegisteredEndpoint): boolean {
    return this.#pools.get(endpoint.pool.name)?.includes(endpoint) ?? false;
  }

  /** Endpoints of the serving configuration, by pool, in the order of the file. */
  get pools(): ReadonlyMap<string, readonly RegisteredEndpoint[]> {
    return this.#pools;
  }

  status(endpoint: RegisteredEndpoint): number {
    return this.#table.status(endpoint.row);
  }

  has(endpoint: RegisteredEndpoint, bit: number): boolean {
    return (this.#table.status(endpoint.row) & bit) !== 0;
  }

  /**
   * Sets or clears one reason not to use the endpoint. Nothing happens when it is so already, or when the endpoint is gone.
   * @param isStart whoever comes back starts slowly.
   */
  set(endpoint: RegisteredEndpoint, bit: number, on: boolean, reason: string, isStart = !on): void {
    const entry = this.#entries.get(endpoint.row);
    if (entry !== endpoint || this.has(endpoint, bit) === on) return;
    // As does whoever joins; before the threads see that it may be picked.
    if (isStart && isAvailable(this.status(entry) & ~bit)) this.#table.setStartedAt(entry.row, this.#now);
    this.#table.setStatus(entry.row, bit, on);
    this.note(entry.row, reason);
    for (const listener of this.#listeners) listener({ endpoint, bit, on, reason });
  }

  /** Says nothing by itself: of what is drained, before it is. */
  keepSessions(endpoint: RegisteredEndpoint, on: boolean): void {
    const isIts = this.#entries.get(endpoint.row) === endpoint;
    if (isIts && this.has(endpoint, ENDPOINT.keepsSessions) !== on)
      this.#table.setStatus(endpoint.row, ENDPOINT.keepsSessions, on);
  }

  /** Something else about it has changed. */
  note(row: number, reason: string): void {
    const entry = this.#entries.get(row);
    if (entry === undefined) return;
    entry.history.push({ since: this.#clock.wall(), status: this.#table.status(row), reason });
    if (entry.history.length > HISTORY) entry.history.shift();
  }

  /** Called after each change, in the order of subscription. */
  onChange(listener: (change: EndpointChange) => void): void {
    this.#listeners.push(listener);
  }

  /** Whoever comes to a pool that serves is probed first; where all are new, there is nobody to wait behind. */
  #joinsOthers({ name }: PoolConfig, wanted: ReadonlyMap<string, unknown>): boolean {
    return this.#pools.get(name)?.some(({ key }) => wanted.has(key)) ?? false;
  }

  /** 0 stands for never. */
  get #now(): number {
    return Math.max(1, this.#clock.now());
  }

  #refuseTooMany(wanted: readonly string[]): void {
    let added = 0;
    for (const key of wanted) if (!this.#rows.has(key)) added += 1;
    if (added <= this.#rows.available) return;
    throw new RegistryFull(
      `${added} new endpoints and pools need rows and ${this.#rows.available} of ${this.#rows.capacity} are free: ` +
        'endpoints of earlier configurations keep theirs until their last request has ended',
    );
  }
}

/** Each endpoint once: a URL written twice in one pool is one endpoint, and the last spelling counts. */
function identities(config: Config): Map<string, { pool: PoolConfig; endpoint: EndpointConfig }> {
  const found = new Map<string, { pool: PoolConfig; endpoint: EndpointConfig }>();
  for (const pool of config.pools) {
    for (const endpoint of pool.endpoints) found.set(endpointKey(pool, endpoint), { pool, endpoint });
  }
  return found;
}
