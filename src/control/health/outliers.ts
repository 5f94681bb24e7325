/**
 * Compares the endpoints of a pool with each other, once in each of its windows, where its configuration asks for that. What
 * they answered is counted by the data threads; whether an outlier is ejected is the passive health's to say.
 */
import type { Clock, Timer } from '../../clock.ts';
import type { PassiveHealthConfig } from '../../config/schema.ts';
import { ENDPOINT, type EndpointTable } from '../../memory/endpoint-table.ts';
import { sampleBetween, type Sample } from '../../memory/sample-table.ts';
import { isCompared } from '../../upstream/verdicts.ts';
import type { EndpointRegistry, RegisteredEndpoint } from '../endpoint-registry.ts';
import { findOutliers } from './outlier-rules.ts';
import type { PassiveHealth } from './passive.ts';

export interface OutlierParts {
  readonly registry: EndpointRegistry;
  readonly table: EndpointTable;
  readonly clock: Clock;
  readonly passive: PassiveHealth;
}

interface Comparison {
  readonly windowMs: number;
  readonly timer: Timer;
  /** What was counted when the window began. */
  before: ReadonlyMap<RegisteredEndpoint, Uint32Array>;
}

export class OutlierWatch {
  readonly #parts: OutlierParts;
  readonly #comparisons = new Map<string, Comparison>();

  constructor(parts: OutlierParts) {
    this.#parts = parts;
  }

  /** Follows the registry's serving configuration. */
  update(): void {
    const { pools } = this.#parts.registry;
    for (const name of this.#comparisons.keys()) if (rulesOf(pools.get(name)) === undefined) this.#stop(name);
    for (const [name, members] of pools) {
      const rules = rulesOf(members);
      if (rules === undefined || this.#comparisons.get(name)?.windowMs === rules.window) continue;
      this.#stop(name);
      const timer = this.#parts.clock.every(rules.window, () => this.#compare(name));
      this.#comparisons.set(name, { windowMs: rules.window, timer, before: this.#read(members) });
    }
  }

  close(): void {
    for (const name of this.#comparisons.keys()) this.#stop(name);
  }

  #stop(name: string): void {
    this.#comparisons.get(name)?.timer.cancel();
    this.#comparisons.delete(name);
  }

  #compare(name: string): void {
    const { registry, passive } = this.#parts;
    const comparison = this.#comparisons.get(name)!;
    const members = registry.pools.get(name) ?? [];
    const rules = rulesOf(members);
    if (rules === undefined) return;
    const after = this.#read(members);
    const outliers = findOutliers(this.#samples(comparison.before, after), rules);
    comparison.before = after;
    for (const { member, cause, what } of outliers) passive.blame(member, { cause, what });
    const blamed = new Set(outliers.map(({ member }) => member));
    for (const member of members) if (!blamed.has(member)) passive.absolve(member);
  }

  /** Of those that take traffic. An endpoint that has joined since has no window yet. */
  #samples(
    before: ReadonlyMap<RegisteredEndpoint, Uint32Array>,
    after: ReadonlyMap<RegisteredEndpoint, Uint32Array>,
  ): Map<RegisteredEndpoint, Sample> {
    const samples = new Map<RegisteredEndpoint, Sample>();
    for (const [member, counts] of after) {
      const first = before.get(member);
      if (first === undefined || this.#parts.registry.has(member, ENDPOINT.ejected)) continue;
      samples.set(member, sampleBetween(first, counts));
    }
    return samples;
  }

  #read(members: readonly RegisteredEndpoint[]): Map<RegisteredEndpoint, Uint32Array> {
    const { samples } = this.#parts.table;
    return new Map(members.map((member) => [member, samples.read(member.row)]));
  }
}

/** Of a pool whose endpoints are to be compared. */
function rulesOf(members: readonly RegisteredEndpoint[] | undefined): PassiveHealthConfig | undefined {
  const passive = members?.[0]?.pool.health.passive ?? false;
  return isCompared(passive) ? passive : undefined;
}
