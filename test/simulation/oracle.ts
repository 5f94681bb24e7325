/**
 * A balancer that knows everything: what each server has in hand, what is on its way there, how slow it is at this moment and
 * whether it would fail. It joins whoever is expected to finish soonest, and is what the others are measured against.
 */
import type { Balancer, BalancerDefinition, Candidate } from '../../src/upstream/endpoint.ts';
import type { VirtualServer } from './virtual-server.ts';

export const ORACLE = 'oracle';

export function oracle(servers: readonly VirtualServer[]): BalancerDefinition {
  return { name: ORACLE, create: <Endpoint extends Candidate>() => new Oracle<Endpoint>(servers) };
}

class Oracle<Endpoint extends Candidate> implements Balancer<Endpoint> {
  readonly #byUrl: ReadonlyMap<string, VirtualServer>;
  #endpoints: readonly Endpoint[] = [];
  #servers: readonly VirtualServer[] = [];
  /** Equals take turns. */
  #first = 0;

  constructor(servers: readonly VirtualServer[]) {
    this.#byUrl = new Map(servers.map((server) => [server.url, server]));
  }

  update(endpoints: readonly Endpoint[]): void {
    this.#endpoints = endpoints.filter(({ weight }) => weight > 0);
    this.#servers = this.#endpoints.map(({ url }) => this.#byUrl.get(url)!);
  }

  pick(): Endpoint | undefined {
    const count = this.#servers.length;
    if (count === 0) return undefined;
    this.#first = (this.#first + 1) % count;
    let best = this.#first;
    let bestMs = this.#servers[best]!.expectedMs;
    for (let step = 1; step < count; step++) {
      const at = (this.#first + step) % count;
      const expectedMs = this.#servers[at]!.expectedMs;
      if (expectedMs >= bestMs) continue;
      best = at;
      bestMs = expectedMs;
    }
    return this.#endpoints[best];
  }
}
