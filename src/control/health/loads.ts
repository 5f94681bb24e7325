/**
 * Works out the weights of pools with `balance: adaptive`, each at its own pace, from what data threads have been told by
 * endpoints. It is done here once, so that all threads weigh alike; upstream/load/weights.ts says how.
 */
import type { Clock, Timer } from '../../clock.ts';
import type { AdaptiveConfig } from '../../config/schema.ts';
import type { EndpointTable } from '../../memory/endpoint-table.ts';
import { adaptiveOf, factorsOf, type Weighed } from '../../upstream/load/weights.ts';
import type { EndpointRegistry, RegisteredEndpoint } from '../endpoint-registry.ts';
import type { ControlLog } from '../log.ts';
import type { LoadView } from '../view.ts';

/** What this gateway counts itself is averaged over about this long. */
const MEASURED_OVER_MS = 10_000;
/** Smaller moves are not worth that every thread sorts its turns anew. */
const LEAST_MOVE = 0.01;

export interface LoadParts {
  readonly registry: EndpointRegistry;
  readonly table: EndpointTable;
  readonly clock: Clock;
  readonly log: ControlLog;
}

interface Watched {
  readonly update: number;
  readonly timer: Timer;
  isWeighed: boolean;
}

/** Of one endpoint. */
interface Known {
  /** Since when its reports have not been too old; undefined while they are. */
  freshSince: number | undefined;
  isTrusted: boolean;
  at: number;
  reports: number;
  failed: number;
  rate: number;
  errorRate: number;
}

export class LoadWatch {
  readonly #parts: LoadParts;
  readonly #pools = new Map<string, Watched>();
  readonly #known = new Map<RegisteredEndpoint, Known>();

  constructor(parts: LoadParts) {
    this.#parts = parts;
  }

  /** Follows the registry's serving configuration. */
  update(): void {
    const { registry, clock } = this.#parts;
    for (const endpoint of this.#known.keys()) if (!registry.isServing(endpoint)) this.#known.delete(endpoint);
    for (const name of this.#pools.keys()) if (this.#settings(name) === undefined) this.#stop(name);
    for (const name of registry.pools.keys()) {
      const settings = this.#settings(name);
      if (settings === undefined || this.#pools.get(name)?.update === settings.update) continue;
      this.#stop(name);
      const timer = clock.every(settings.update, () => this.#weigh(name));
      this.#pools.set(name, { update: settings.update, timer, isWeighed: false });
    }
  }

  /** undefined: it is not weighed. */
  viewOf(endpoint: RegisteredEndpoint): LoadView | undefined {
    if (adaptiveOf(endpoint.pool.balance) === undefined) return undefined;
    const { table, clock } = this.#parts;
    const { row, config } = endpoint;
    const { reports, malformed } = table.loads.counts(row);
    const at = table.loads.reportedAt(row);
    return {
      ...table.loads.reported(row),
      ageMs: at === 0 ? undefined : clock.now() - at,
      isTrusted: this.#known.get(endpoint)?.isTrusted ?? false,
      weight: config.weight * table.loads.factor(row) * table.loads.share(row),
      reports,
      malformed,
    };
  }

  close(): void {
    for (const name of this.#pools.keys()) this.#stop(name);
  }

  #settings(pool: string): AdaptiveConfig | undefined {
    const balance = this.#parts.registry.pools.get(pool)?.[0]?.pool.balance;
    return balance === undefined ? undefined : adaptiveOf(balance);
  }

  #stop(name: string): void {
    this.#pools.get(name)?.timer.cancel();
    this.#pools.delete(name);
  }

  #weigh(name: string): void {
    const settings = this.#settings(name);
    if (settings === undefined) return;
    const { loads } = this.#parts.table;
    const members = this.#parts.registry.pools.get(name)!;
    const weighed = members.map((member) => this.#look(member, settings));
    factorsOf(weighed, settings).forEach((factor, at) => {
      const { row } = members[at]!;
      const before = loads.factor(row);
      if (Math.abs(factor - before) > before * LEAST_MOVE) loads.setFactor(row, factor);
    });
    this.#tell(name, weighed.filter(({ load }) => load !== undefined).length, members.length);
  }

  #look(member: RegisteredEndpoint, { blackout, expiration }: AdaptiveConfig): Weighed {
    const { table, clock } = this.#parts;
    const { row, config } = member;
    const now = clock.now();
    const known = this.#measure(member, now);
    const at = table.loads.reportedAt(row);
    if (at === 0 || now - at > expiration) known.freshSince = undefined;
    else known.freshSince ??= at;
    known.isTrusted = known.freshSince !== undefined && now - known.freshSince >= blackout;
    return {
      weight: config.weight,
      load: known.isTrusted ? table.loads.reported(row) : undefined,
      measured: known,
    };
  }

  #measure(member: RegisteredEndpoint, now: number): Known {
    const { reports, failed } = this.#parts.table.loads.counts(member.row);
    const known = this.#known.get(member);
    if (known === undefined) {
      const first = { freshSince: undefined, isTrusted: false, at: now, reports, failed, rate: 0, errorRate: 0 };
      this.#known.set(member, first);
      return first;
    }
    const seconds = (now - known.at) / 1000;
    if (seconds <= 0) return known;
    const part = 1 - Math.exp((known.at - now) / MEASURED_OVER_MS);
    // The counts are of 32 bits and wrap around; so does their difference.
    known.rate += (((reports - known.reports) >>> 0) / seconds - known.rate) * part;
    known.errorRate += (((failed - known.failed) >>> 0) / seconds - known.errorRate) * part;
    Object.assign(known, { at: now, reports, failed });
    return known;
  }

  #tell(name: string, reporting: number, of: number): void {
    const watched = this.#pools.get(name)!;
    const isWeighed = reporting >= 2;
    if (watched.isWeighed === isWeighed) return;
    watched.isWeighed = isWeighed;
    const how = isWeighed ? 'by what its endpoints report' : 'as its weights are written: too few endpoints report';
    const event = isWeighed ? 'pool_weighed' : 'pool_not_weighed';
    this.#parts.log.info({ event, pool: name, reporting, endpoints: of }, `pool '${name}' is balanced ${how}`);
  }
}
