/**
 * A service as one generation sees it: its endpoints, which of them may be used now, and the balancer that picks. Whether
 * an endpoint may be used is read from the shared table, and only when something there has moved.
 */
import type { Random } from '../clock.ts';
import type { PanicConfig, PassiveHealthConfig, PoolConfig } from '../config/schema.ts';
import { ENDPOINT, type EndpointTable } from '../memory/endpoint-table.ts';
import type { EndpointConnections } from './call.ts';
import type { Balancer, Candidate, PickRequest } from './endpoint.ts';
import type { RetryBudget } from './retry-budget.ts';

export interface Endpoint extends Candidate {
  readonly backup: boolean;
  readonly connections: EndpointConnections;
}

export interface PoolParts {
  readonly config: PoolConfig;
  readonly endpoints: readonly Endpoint[];
  readonly balancer: Balancer<Endpoint>;
  readonly table: EndpointTable;
  readonly budget: RetryBudget;
  readonly random: Random;
}

export class Pool {
  readonly name: string;
  readonly endpoints: readonly Endpoint[];
  readonly passive: PassiveHealthConfig | false;
  readonly budget: RetryBudget;
  /** What a 503 advises, when nothing is left. */
  readonly retryAfterSeconds: number;
  readonly #balancer: Balancer<Endpoint>;
  readonly #table: EndpointTable;
  readonly #panic: PanicConfig;
  readonly #random: Random;
  #epoch = -1;
  #candidates: readonly Endpoint[] = [];

  constructor({ config, endpoints, balancer, table, budget, random }: PoolParts) {
    this.name = config.name;
    this.endpoints = endpoints;
    this.passive = config.health.passive;
    this.budget = budget;
    this.retryAfterSeconds = Math.max(1, Math.ceil((config.health.active?.interval ?? 5000) / 1000));
    this.#balancer = balancer;
    this.#table = table;
    this.#panic = config.health.panic;
    this.#random = random;
  }

  /** An endpoint that is not among those tried, while there is one; else any; undefined when there is none at all. */
  pick(request: PickRequest, tried: readonly Endpoint[] | undefined): Endpoint | undefined {
    if (this.#table.epoch !== this.#epoch) this.#refresh();
    const chosen = this.#balancer.pick(request);
    if (chosen === undefined || tried === undefined || !tried.includes(chosen)) return chosen;
    return this.#untried(tried) ?? chosen;
  }

  /** Whether an endpoint that is not in `tried` could be picked now. */
  hasUntried(tried: readonly Endpoint[]): boolean {
    if (this.#table.epoch !== this.#epoch) this.#refresh();
    return this.#untried(tried) !== undefined;
  }

  #untried(tried: readonly Endpoint[]): Endpoint | undefined {
    const count = this.#candidates.length;
    const start = Math.floor(this.#random() * count);
    for (let step = 0; step < count; step++) {
      const endpoint = this.#candidates[(start + step) % count]!;
      if (endpoint.weight > 0 && !tried.includes(endpoint)) return endpoint;
    }
    return undefined;
  }

  #refresh(): void {
    this.#epoch = this.#table.epoch;
    const members = settled(this.endpoints, ({ row }) => (this.#table.status(row) & ENDPOINT.joining) !== 0);
    this.#candidates = chooseCandidates(members, this.#panic, ({ row }) => isAvailable(this.#table.status(row)));
    this.#balancer.update(this.#candidates);
  }
}

/** Without those that have not passed a check yet, while there are others: neither do they serve, nor are they missed. */
export function settled<Member>(members: readonly Member[], isJoining: (member: Member) => boolean): readonly Member[] {
  const others = members.filter((member) => !isJoining(member));
  return others.length === 0 ? members : others;
}

/** By the status of one that is `settled`. */
export const isAvailable = (status: number): boolean => (status & ~ENDPOINT.joining) === 0;

/**
 * Who takes traffic: the available ones; when too few are to trust the verdicts, all of them (panic); backups only when no
 * other endpoint is available. The control plane reports panic by the same rule.
 */
export function chooseCandidates<Member extends { readonly backup: boolean }>(
  members: readonly Member[],
  panic: PanicConfig,
  isAvailable: (member: Member) => boolean,
): readonly Member[] {
  const primary = members.filter((member) => !member.backup);
  const available = primary.filter(isAvailable);
  if (available.length === 0) {
    const backups = members.filter((member) => member.backup && isAvailable(member));
    if (backups.length > 0) return backups;
  }
  const isSpread = panic.then === 'spread' && isPanic(available.length, primary.length, panic);
  return isSpread ? primary : available;
}

/** Whether so few of a pool are available that the verdicts are not to be trusted. */
export function isPanic(available: number, members: number, panic: PanicConfig): boolean {
  return members > 0 && available < members * panic.below;
}
