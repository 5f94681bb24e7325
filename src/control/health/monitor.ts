/**
 * Active health: which probes run. Health belongs to (endpoint, check): a reload that changes neither leaves the probe
 * and its count alone. A changed check starts afresh from the present verdict, which is the safe one either way: an
 * endpoint that was available stays so until proven bad, one that was unhealthy until proven good.
 */
import type { Clock, Random } from '../../clock.ts';
import type { ActiveHealthConfig } from '../../config/schema.ts';
import { ENDPOINT } from '../../memory/endpoint-table.ts';
import type { EndpointRegistry, RegisteredEndpoint } from '../endpoint-registry.ts';
import { createChecker as realChecker, type CreateChecker, type HealthChecker } from './checker.ts';
import { Probe } from './probe.ts';

export interface MonitorParts {
  readonly registry: EndpointRegistry;
  readonly clock: Clock;
  readonly random: Random;
  readonly createChecker?: CreateChecker;
  readonly onRecovered: (endpoint: RegisteredEndpoint) => void;
}

interface Watch {
  readonly endpoint: RegisteredEndpoint;
  readonly checkKey: string;
  readonly probe: Probe;
}

export class HealthMonitor {
  readonly #parts: MonitorParts;
  readonly #createChecker: CreateChecker;
  #watches = new Map<RegisteredEndpoint, Watch>();
  /** One for all endpoints with the same check and the same TLS identity. */
  #checkers = new Map<string, HealthChecker>();

  constructor(parts: MonitorParts) {
    this.#parts = parts;
    this.#createChecker = parts.createChecker ?? realChecker;
  }

  /** Follows the registry's serving configuration. */
  update(): void {
    const watches = new Map<RegisteredEndpoint, Watch>();
    const checkers = new Map<string, HealthChecker>();
    for (const endpoints of this.#parts.registry.pools.values()) {
      for (const endpoint of endpoints) {
        const { active } = endpoint.pool.health;
        if (active === undefined) this.#forgetVerdict(endpoint);
        else watches.set(endpoint, this.#keepOrStart(endpoint, active, checkers));
      }
    }
    this.#stopAllBut(watches, checkers);
    this.#watches = watches;
    this.#checkers = checkers;
  }

  /** Requests could not connect to the endpoint. */
  foundNobody(endpoint: RegisteredEndpoint): void {
    this.#watches.get(endpoint)?.probe.foundNobody();
  }

  close(): void {
    this.#stopAllBut(new Map(), new Map());
  }

  #keepOrStart(endpoint: RegisteredEndpoint, check: ActiveHealthConfig, checkers: Map<string, HealthChecker>): Watch {
    const { tls, tlsDigest, http2 } = endpoint.pool;
    const checkKey = JSON.stringify([check, tls, tlsDigest, http2]);
    const checker = checkers.get(checkKey) ?? this.#checkers.get(checkKey) ?? this.#createChecker(check, tls, http2);
    checkers.set(checkKey, checker);
    const running = this.#watches.get(endpoint);
    if (running?.checkKey === checkKey) return running;
    const { registry, clock, random, onRecovered } = this.#parts;
    return { endpoint, checkKey, probe: new Probe({ endpoint, check, checker, registry, clock, random, onRecovered }) };
  }

  /** Without a check there is nobody left who could prove it good again. */
  #forgetVerdict(endpoint: RegisteredEndpoint): void {
    for (const bit of [ENDPOINT.unhealthy, ENDPOINT.joining]) {
      this.#parts.registry.set(endpoint, bit, false, 'active: no longer checked');
    }
  }

  #stopAllBut(watches: ReadonlyMap<RegisteredEndpoint, Watch>, checkers: ReadonlyMap<string, HealthChecker>): void {
    for (const [endpoint, watch] of this.#watches) if (watches.get(endpoint) !== watch) watch.probe.stop();
    for (const [key, checker] of this.#checkers) if (checkers.get(key) !== checker) checker.close();
  }
}
