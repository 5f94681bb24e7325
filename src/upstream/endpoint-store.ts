/**
 * The connections of a data thread, by endpoint identity, counted by the generations that use them: an endpoint that a
 * reload leaves as it is keeps its sockets, and one that nobody uses any more lets them go.
 */
import type tls from 'node:tls';
import type { EndpointConfig, PoolConfig } from '../config/schema.ts';
import type { Clock } from '../clock.ts';
import type { MetricWriter } from '../memory/metric-table.ts';
import type { TimerWheel } from '../timer-wheel.ts';
import type { EndpointConnections } from './call.ts';
import { Connections } from './h1/connections.ts';
import { Sessions } from './h2/sessions.ts';
import { endpointKey } from './identity.ts';
import { upstreamTls } from './tls.ts';

export interface EndpointStoreOptions {
  readonly threads: number;
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly metrics: MetricWriter;
}

export class EndpointStore {
  readonly #options: EndpointStoreOptions;
  readonly #held = new Map<string, { readonly connections: EndpointConnections; users: number }>();

  constructor(options: EndpointStoreOptions) {
    this.#options = options;
  }

  /** @throws when a TLS file cannot be read or used. */
  acquire(pool: PoolConfig, endpoint: EndpointConfig, row: number): EndpointConnections {
    const key = endpointKey(pool, endpoint);
    const limits = { headBytes: pool.limits.responseHeaders, fields: pool.limits.responseFields };
    const held = this.#held.get(key);
    if (held !== undefined) {
      held.users++;
      held.connections.configure(pool.connections, limits);
      held.connections.revive();
      return held.connections;
    }
    const { metrics, ...shared } = this.#options;
    const options = {
      ...shared,
      url: endpoint.url,
      settings: pool.connections,
      limits,
      tls: endpoint.url.startsWith('https:') ? tlsOf(pool, endpoint) : undefined,
      onCount: (change: 1 | -1) => (change === 1 ? metrics.upstreamOpened(row) : metrics.upstreamClosed(row)),
    };
    const connections = pool.http2 ? new Sessions(options, new Connections(options)) : new Connections(options);
    this.#held.set(key, { connections, users: 1 });
    return connections;
  }

  release(pool: PoolConfig, endpoint: EndpointConfig): void {
    const key = endpointKey(pool, endpoint);
    const held = this.#held.get(key);
    if (held === undefined || --held.users > 0) return;
    this.#held.delete(key);
    held.connections.retire();
  }
}

function tlsOf({ name, tls: config }: PoolConfig, { url }: EndpointConfig): tls.ConnectionOptions {
  try {
    return upstreamTls(new URL(url).hostname, config);
  } catch (error) {
    throw new Error(`pool '${name}': tls: ${(error as Error).message}`, { cause: error });
  }
}
