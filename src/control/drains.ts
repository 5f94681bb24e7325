/**
 * Endpoints that an operator drains: they finish what they have and get nothing new. It is a bit of the endpoint's row, so
 * it lasts through reloads for as long as the endpoint is the same, and until it is undone.
 */
import type { Clock, Timer } from '../clock.ts';
import { didYouMean } from '../config/nearest.ts';
import { ENDPOINT, type EndpointTable } from '../memory/endpoint-table.ts';
import type { EndpointRegistry, RegisteredEndpoint } from './endpoint-registry.ts';
import type { DrainOptions, DrainResult } from './view.ts';

export interface DrainParts {
  readonly registry: EndpointRegistry;
  readonly table: EndpointTable;
  readonly clock: Clock;
  /** Has all threads close the WebSockets of a row. */
  readonly leave: (row: number) => void;
}

/** Why an order about endpoints cannot be followed: a sentence for the operator. */
export class DrainRefused extends Error {
  override readonly name = 'DrainRefused';
}

export class Drains {
  readonly #parts: DrainParts;
  /** Until WebSockets are closed. */
  readonly #deadlines = new Map<RegisteredEndpoint, Timer>();

  constructor(parts: DrainParts) {
    this.#parts = parts;
  }

  /** Again: as it is said now. @throws DrainRefused */
  drain(pool: string, written: string, { keepSessions, timeoutMs }: DrainOptions): DrainResult {
    const { registry } = this.#parts;
    const endpoint = this.#find(pool, written);
    const isNew = !registry.has(endpoint, ENDPOINT.draining);
    // Before the status that makes it matter.
    registry.keepSessions(endpoint, keepSessions);
    const kept = keepSessions ? '; its sessions stay' : '';
    registry.set(endpoint, ENDPOINT.draining, true, `drained by an operator${kept}`);
    if (!isNew) registry.note(endpoint.row, `drained again by an operator${kept}`);
    this.#setDeadline(endpoint, timeoutMs);
    return this.#result(endpoint, true, keepSessions);
  }

  /** @throws DrainRefused */
  undrain(pool: string, written: string): DrainResult {
    const { registry } = this.#parts;
    const endpoint = this.#find(pool, written);
    this.#setDeadline(endpoint, undefined);
    registry.keepSessions(endpoint, false);
    registry.set(endpoint, ENDPOINT.draining, false, 'the drain was undone by an operator');
    return this.#result(endpoint, false, false);
  }

  close(): void {
    for (const timer of this.#deadlines.values()) timer.cancel();
    this.#deadlines.clear();
  }

  #result(endpoint: RegisteredEndpoint, draining: boolean, keepSessions: boolean): DrainResult {
    const { registry, table } = this.#parts;
    const pool = endpoint.pool.name;
    const others = registry.pools.get(pool)!.filter((member) => {
      return member !== endpoint && member.config.weight > 0 && registry.status(member) === 0;
    }).length;
    return { pool, endpoint: endpoint.url, draining, keepSessions, inFlight: table.inFlight(endpoint.row), others };
  }

  #setDeadline(endpoint: RegisteredEndpoint, timeoutMs: number | undefined): void {
    const { registry, clock, leave } = this.#parts;
    this.#deadlines.get(endpoint)?.cancel();
    this.#deadlines.delete(endpoint);
    if (timeoutMs === undefined) return;
    const timer = clock.after(timeoutMs, () => {
      this.#deadlines.delete(endpoint);
      // The row may be another's by now.
      if (registry.at(endpoint.row) === endpoint) leave(endpoint.row);
    });
    this.#deadlines.set(endpoint, timer);
  }

  /** @param written a URL, or its host and port. */
  #find(pool: string, written: string): RegisteredEndpoint {
    const { pools } = this.#parts.registry;
    const members = pools.get(pool);
    if (members === undefined) throw refused(`no pool is named '${pool}'`, didYouMean(pool, pools.keys()));
    const found = members.find(({ url }) => url === originOf(written) || hostOf(url) === hostOf(`http://${written}`));
    if (found !== undefined) return found;
    const names = members.map(({ url }) => (written.includes('://') ? url : new URL(url).host));
    throw refused(`pool '${pool}' has no endpoint '${written}'`, didYouMean(written, names) ?? listed(names));
  }
}

const MOST_LISTED = 10;

function listed(names: readonly string[]): string {
  const more = names.length > MOST_LISTED ? ', …' : '';
  return names.length === 0 ? 'it has none' : `it has ${names.slice(0, MOST_LISTED).join(', ')}${more}`;
}

const refused = (message: string, hint: string | undefined) =>
  new DrainRefused(hint === undefined ? message : `${message}: ${hint}`);

const originOf = (url: string) => (URL.canParse(url) ? new URL(url).origin : undefined);

/** With its port, also where that is the default one of http. */
const hostOf = (url: string) => {
  if (!URL.canParse(url)) return url;
  const { hostname, port, protocol } = new URL(url);
  return `${hostname}:${port === '' ? (protocol === 'https:' ? 443 : 80) : port}`;
};
