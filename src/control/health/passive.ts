/**
 * Passive health: what real traffic tells. The data threads count failures in a row and report an endpoint as suspect, and
 * outliers.ts compares endpoints; here, where the whole pool is seen, it is decided whether the pool can spare it, and
 * whether it is any worse than its peers (peers.ts): one that fails as they do stays, or is back at once as if nothing had been.
 * Any other ejection ends by itself, and on probation: one more failure ejects again, and for longer. A good active probe
 * alone does not end it: a health endpoint that answers 200 while requests fail must not have the last word. Probes that
 * failed and then pass again do: the endpoint was away, and whatever is back need not wait for the sentence of what it was.
 * One that is ejected because nobody was there has gone, though no probe may have come in that moment.
 */
import type { Clock, Timer } from '../../clock.ts';
import type { PassiveHealthConfig } from '../../config/schema.ts';
import { BREAKER, stateOf } from '../../memory/breaker-table.ts';
import { ENDPOINT, type EndpointTable } from '../../memory/endpoint-table.ts';
import type { EndpointRegistry, RegisteredEndpoint } from '../endpoint-registry.ts';
import { hasBreaker } from '../../upstream/breaker.ts';
import type { ControlLog } from '../log.ts';
import type { EjectionCause, EjectionCount } from '../view.ts';
import type { Evidence } from './outlier-rules.ts';
import { sharedTrouble } from './peers.ts';

/** What is remembered of an endpoint that was suspect at least once. */
interface Suspect {
  /** Why it was suspect the last time: `status 500`, `connection_refused`. */
  suspicion: string;
  /** What it would have been ejected for, had nothing been against it: said once for as long as it goes on. */
  sparedFor: EjectionCause | undefined;
  sparedAt: number;
  /** undefined: it is not ejected. */
  ejectedFor: EjectionCause | undefined;
  /** It would be ejected now, if that were not only logged. */
  isOnlyLogged: boolean;
  /** Ejections in a row when it was last ejected; decays from `returnedAt` on. */
  inARow: number;
  returnedAt: number;
  readonly counts: Map<string, EjectionCount>;
  timer: Timer | undefined;
  /** When the ejection ends, milliseconds since the epoch; while there is one. */
  until: number;
}

/** Errors of requests that are just what a probe proves wrong. */
const NOBODY_THERE: ReadonlySet<string> = new Set(['connection_refused', 'connection_timeout']);

export interface PassiveParts {
  readonly registry: EndpointRegistry;
  readonly table: EndpointTable;
  readonly clock: Clock;
  readonly log: ControlLog;
  /** An endpoint was ejected since nobody could be reached there. */
  readonly onNobodyThere?: (endpoint: RegisteredEndpoint) => void;
}

export class PassiveHealth {
  readonly #parts: PassiveParts;
  readonly #records = new Map<RegisteredEndpoint, Suspect>();

  constructor(parts: PassiveParts) {
    this.#parts = parts;
    // When an endpoint comes back, the pool may be able to spare one that it could not spare before.
    parts.registry.onChange(({ endpoint, on }) => {
      if (!on) this.#reconsider(endpoint.pool.name);
    });
  }

  /** A data thread saw the endpoint fail as often in a row as its pool allows. */
  suspect(row: number, reason: string): void {
    const endpoint = this.#parts.registry.at(row);
    if (endpoint === undefined || !this.#parts.registry.isServing(endpoint)) return;
    const passive = settings(endpoint);
    if (passive === undefined) return;
    this.#recordOf(endpoint).suspicion = reason;
    this.#pardon(endpoint.pool.name, passive);
    this.#consider(endpoint, passive);
  }

  /** It did worse than the others of its pool, by one of the rules that compare. */
  blame(endpoint: RegisteredEndpoint, evidence: Evidence): void {
    const passive = settings(endpoint);
    if (passive === undefined || !this.#parts.registry.isServing(endpoint)) return;
    const record = this.#recordOf(endpoint);
    this.#pardon(endpoint.pool.name, passive);
    if (!this.#isOut(endpoint)) this.#ejectIfSpared(endpoint, passive, record, evidence);
  }

  /** It did not. */
  absolve(endpoint: RegisteredEndpoint): void {
    const record = this.#records.get(endpoint);
    if (record !== undefined && !isInARow(record.sparedFor)) record.sparedFor = undefined;
  }

  /** Its active check has seen it go and come back. */
  recovered(endpoint: RegisteredEndpoint): void {
    const record = this.#records.get(endpoint);
    if (record !== undefined)
      this.#return(endpoint, record, 'passive: its active check saw it come back; on probation');
  }

  /** Follows the registry's serving configuration. */
  update(): void {
    const { registry } = this.#parts;
    for (const [endpoint, record] of this.#records) {
      if (registry.at(endpoint.row) !== endpoint) this.#forget(endpoint, record);
      else if (settings(endpoint) === undefined) this.#return(endpoint, record, 'passive: no longer watched');
      else this.#followMode(endpoint, record);
    }
    for (const pool of registry.pools.keys()) this.#reconsider(pool);
  }

  /** Passive ejections since the endpoint is known. */
  ejections(endpoint: RegisteredEndpoint): number {
    return this.ejectionsBy(endpoint).reduce((sum, { mode, count }) => (mode === 'eject' ? sum + count : sum), 0);
  }

  /** Milliseconds since the epoch; undefined: it is not ejected. */
  ejectedUntil(endpoint: RegisteredEndpoint): number | undefined {
    const isEjected = this.#parts.registry.has(endpoint, ENDPOINT.ejected);
    return isEjected ? this.#records.get(endpoint)?.until : undefined;
  }

  ejectionsBy(endpoint: RegisteredEndpoint): readonly EjectionCount[] {
    return [...(this.#records.get(endpoint)?.counts.values() ?? [])];
  }

  close(): void {
    for (const [endpoint, record] of this.#records) this.#forget(endpoint, record);
  }

  #reconsider(pool: string): void {
    for (const endpoint of this.#parts.registry.pools.get(pool) ?? []) {
      const passive = settings(endpoint);
      const isSpared = isInARow(this.#records.get(endpoint)?.sparedFor);
      if (isSpared && passive !== undefined) this.#consider(endpoint, passive);
    }
  }

  /** By its failures in a row. */
  #consider(endpoint: RegisteredEndpoint, passive: PassiveHealthConfig): void {
    const record = this.#recordOf(endpoint);
    if (this.#isOut(endpoint)) return;
    const evidence = this.#inARow(endpoint, passive, record);
    // Without any it has answered well since, or a reload has raised the threshold.
    if (evidence === undefined) record.sparedFor = undefined;
    else this.#ejectIfSpared(endpoint, passive, record, evidence);
  }

  #inARow({ row }: RegisteredEndpoint, passive: PassiveHealthConfig, { suspicion }: Suspect): Evidence | undefined {
    const { table } = this.#parts;
    const { consecutiveFailures, consecutiveGatewayFailures = 0 } = passive;
    const failures = table.failures(row);
    if (consecutiveFailures > 0 && failures >= consecutiveFailures) {
      return { cause: 'consecutive-failures', what: `${failures} failures in a row, last ${suspicion}` };
    }
    const ofGateways = table.gatewayFailures(row);
    if (consecutiveGatewayFailures === 0 || ofGateways < consecutiveGatewayFailures) return undefined;
    const what = `${ofGateways} gateway failures in a row, last ${suspicion}`;
    return { cause: 'consecutive-gateway-failures', what };
  }

  #ejectIfSpared(
    endpoint: RegisteredEndpoint,
    passive: PassiveHealthConfig,
    record: Suspect,
    evidence: Evidence,
  ): void {
    const obstacle = this.#obstacle(endpoint, passive) ?? this.#excuse(endpoint, passive, evidence.cause);
    if (obstacle === undefined) {
      this.#eject(endpoint, passive, record, evidence);
      return;
    }
    const now = this.#parts.clock.now();
    if (record.sparedFor === undefined || now - record.sparedAt > passive.ejectFor) {
      const where = { pool: endpoint.pool.name, endpoint: endpoint.url };
      const reason = isInARow(evidence.cause) ? record.suspicion : evidence.what;
      this.#parts.log.warn({ event: 'endpoint_not_ejected', ...where, reason }, `not ejected because ${obstacle}`);
    }
    record.sparedFor = evidence.cause;
    record.sparedAt = now;
  }

  /** Why the pool cannot spare the endpoint; undefined when it can. */
  #obstacle(endpoint: RegisteredEndpoint, passive: PassiveHealthConfig): string | undefined {
    const members = this.#parts.registry.pools.get(endpoint.pool.name) ?? [];
    const ejected = members.filter((member) => this.#isOut(member)).length;
    // A share of a small pool rounds to none, which would turn ejection off exactly where one bad endpoint hurts most.
    const allowed = Math.max(1, Math.floor(members.length * passive.maxEjected));
    if (ejected >= allowed) return `${ejected} of ${members.length} endpoints are ejected already, ${allowed} may be`;
    const needed = neededOf(passive);
    const left = this.#peers(endpoint).length;
    if (left >= needed) return undefined;
    if (left === 0) return 'no other endpoint of the pool is available';
    return `only ${left} of the others ${left === 1 ? 'is' : 'are'} available, minHealthy is ${needed}`;
  }

  /** Why failing is no reason to eject this one; undefined when it is. */
  #excuse(endpoint: RegisteredEndpoint, passive: PassiveHealthConfig, cause: EjectionCause): string | undefined {
    if (!isOfFailing(cause) || mayBeEmptied(passive)) return undefined;
    return sharedTrouble(this.#failedLately(endpoint), this.#peers(endpoint).map(this.#failedLately));
  }

  /** Those that were ejected for failing are back once most of those that still serve fail as well. */
  #pardon(pool: string, passive: PassiveHealthConfig): void {
    if (mayBeEmptied(passive)) return;
    const members = this.#parts.registry.pools.get(pool) ?? [];
    const ejected = members.filter((member) => isOfFailing(this.#records.get(member)?.ejectedFor));
    if (ejected.length === 0) return;
    const serving = members.filter((member) => this.#canServe(member)).map(this.#failedLately);
    for (const endpoint of ejected) {
      const shared = sharedTrouble(this.#failedLately(endpoint), serving);
      if (shared === undefined) continue;
      const record = this.#recordOf(endpoint);
      record.inARow -= 1;
      this.#return(endpoint, record, `passive: no worse than the others: ${shared}`, false);
    }
  }

  readonly #failedLately = ({ row }: RegisteredEndpoint): number => this.#parts.table.failedLately(row);

  /** Those that would have its load. */
  #peers(endpoint: RegisteredEndpoint): RegisteredEndpoint[] {
    const members = this.#parts.registry.pools.get(endpoint.pool.name) ?? [];
    return members.filter((member) => member !== endpoint && this.#canServe(member));
  }

  #canServe(member: RegisteredEndpoint): boolean {
    const { registry, table } = this.#parts;
    const weight = member.config.weight * table.loads.share(member.row);
    if (weight === 0 || registry.status(member) !== 0 || this.#isOut(member)) return false;
    const { breaker } = member.pool;
    const isBroken = stateOf(table.breakers.word(member.row)) !== BREAKER.closed;
    return breaker === undefined || !hasBreaker(breaker, 'endpoint') || !isBroken;
  }

  /** Ejected, or as good as. */
  #isOut(endpoint: RegisteredEndpoint): boolean {
    return this.#parts.registry.has(endpoint, ENDPOINT.ejected) || (this.#records.get(endpoint)?.isOnlyLogged ?? false);
  }

  #eject(endpoint: RegisteredEndpoint, passive: PassiveHealthConfig, record: Suspect, { cause, what }: Evidence): void {
    const { registry, clock, log } = this.#parts;
    const { mode } = passive;
    record.sparedFor = undefined;
    record.ejectedFor = cause;
    record.inARow = this.#decayed(record, passive) + 1;
    const name = `${mode} ${cause}`;
    record.counts.set(name, { cause, mode, count: (record.counts.get(name)?.count ?? 0) + 1 });
    const forMs = Math.min(passive.ejectFor * record.inARow, Math.max(passive.maxEjectFor, passive.ejectFor));
    record.until = clock.wall() + forMs;
    record.timer = clock.after(forMs, () => this.#return(endpoint, record, 'passive: on probation'));
    const reason = `passive: ${what}; ejected for ${forMs / 1000} s`;
    if (isInARow(cause) && NOBODY_THERE.has(record.suspicion)) this.#parts.onNobodyThere?.(endpoint);
    if (mode === 'eject') return registry.set(endpoint, ENDPOINT.ejected, true, reason);
    record.isOnlyLogged = true;
    const where = { pool: endpoint.pool.name, endpoint: endpoint.url };
    log.warn({ event: 'endpoint_would_be_ejected', ...where, reason }, `would be ejected: ${endpoint.url}`);
  }

  /** A reload may have changed what becomes of outliers. */
  #followMode(endpoint: RegisteredEndpoint, record: Suspect): void {
    const isLogged = settings(endpoint)!.mode === 'log';
    if (this.#isOut(endpoint) && record.isOnlyLogged !== isLogged) {
      this.#return(endpoint, record, 'passive: ejections are only logged from now on');
    }
  }

  /** One ejection is forgotten for each `ejectFor` that the endpoint has stayed in since. */
  #decayed(record: Suspect, { ejectFor }: PassiveHealthConfig): number {
    const stayedMs = this.#parts.clock.now() - record.returnedAt;
    return Math.max(0, record.inARow - Math.floor(stayedMs / ejectFor));
  }

  #return(endpoint: RegisteredEndpoint, record: Suspect, reason: string, isOnProbation = true): void {
    const { registry, table, clock } = this.#parts;
    record.timer?.cancel();
    record.timer = undefined;
    record.sparedFor = undefined;
    if (this.#isOut(endpoint)) record.returnedAt = clock.now();
    record.isOnlyLogged = false;
    record.ejectedFor = undefined;
    if (!registry.has(endpoint, ENDPOINT.ejected)) return;
    const { consecutiveFailures = 1, consecutiveGatewayFailures = 1 } = settings(endpoint) ?? {};
    table.setFailures(endpoint.row, isOnProbation ? Math.max(0, consecutiveFailures - 1) : 0);
    table.setGatewayFailures(endpoint.row, isOnProbation ? consecutiveGatewayFailures - 1 : 0);
    registry.set(endpoint, ENDPOINT.ejected, false, reason, isOnProbation);
  }

  #forget(endpoint: RegisteredEndpoint, record: Suspect): void {
    record.timer?.cancel();
    this.#records.delete(endpoint);
  }

  #recordOf(endpoint: RegisteredEndpoint): Suspect {
    const known = this.#records.get(endpoint);
    if (known !== undefined) return known;
    const record: Suspect = {
      suspicion: '',
      sparedFor: undefined,
      sparedAt: 0,
      ejectedFor: undefined,
      isOnlyLogged: false,
      inARow: 0,
      returnedAt: 0,
      counts: new Map(),
      timer: undefined,
      until: 0,
    };
    this.#records.set(endpoint, record);
    return record;
  }
}

function settings(endpoint: RegisteredEndpoint): PassiveHealthConfig | undefined {
  const { passive } = endpoint.pool.health;
  return passive === false ? undefined : passive;
}

/** Endpoints that must stay available. */
function neededOf({ minHealthy, maxEjected }: PassiveHealthConfig): number {
  return minHealthy ?? (maxEjected >= 1 ? 0 : 1);
}

/** Who lets that happen wants a verdict on each endpoint for itself. */
function mayBeEmptied(passive: PassiveHealthConfig): boolean {
  return neededOf(passive) === 0;
}

/** The other causes compare with the pool by themselves. */
function isOfFailing(cause: EjectionCause | undefined): boolean {
  return isInARow(cause) || cause === 'failure-percentage';
}

/** undefined: it is spared for nothing. */
function isInARow(cause: EjectionCause | undefined): boolean {
  return cause === 'consecutive-failures' || cause === 'consecutive-gateway-failures';
}
