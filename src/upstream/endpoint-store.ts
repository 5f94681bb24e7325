/**
 * The connections of a data thread, by endpoint identity, counted by the generations that use them: an endpoint that a
 * reload leaves as it is keeps its sockets, and one that nobody uses any more lets them go.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type tls from 'node:tls';
import type { EndpointConfig, PoolConfig, UpstreamTlsConfig } from '../config/schema.ts';
import type { Clock } from '../clock.ts';
import type { MetricWriter } from '../memory/metric-table.ts';
import type { TimerWheel } from '../timer-wheel.ts';
import { Connections } from './h1/connections.ts';
import { endpointKey } from './identity.ts';

export interface EndpointStoreOptions {
  readonly threads: number;
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly metrics: MetricWriter;
}

export class EndpointStore {
  readonly #options: EndpointStoreOptions;
  readonly #held = new Map<string, { readonly connections: Connections; users: number }>();

  constructor(options: EndpointStoreOptions) {
    this.#options = options;
  }

  /** @param dir what file names are relative to. @throws when a TLS file cannot be read. */
  acquire(pool: PoolConfig, endpoint: EndpointConfig, row: number, dir: string): Connections {
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
    const connections = new Connections({
      ...shared,
      url: endpoint.url,
      settings: pool.connections,
      limits,
      tls: endpoint.url.startsWith('https:') ? tlsOptions(endpoint.url, pool.tls, dir) : undefined,
      onCount: (change) => (change === 1 ? metrics.upstreamOpened(row) : metrics.upstreamClosed(row)),
    });
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

/** Verified unless the configuration says otherwise; the name asked for is the endpoint's, never the client's Host. */
function tlsOptions(url: string, config: UpstreamTlsConfig | undefined, dir: string): tls.ConnectionOptions {
  const read = (file: string) => readFileSync(path.resolve(dir, file));
  const { hostname } = new URL(url);
  const isAddress = hostname.startsWith('[') || /^[\d.]+$/.test(hostname);
  const servername = config?.serverName ?? (isAddress ? '' : hostname);
  return {
    servername,
    rejectUnauthorized: config?.verify ?? true,
    ...(config?.ca === undefined ? {} : { ca: read(config.ca) }),
    ...(config?.cert === undefined ? {} : { cert: read(config.cert) }),
    ...(config?.key === undefined ? {} : { key: read(config.key) }),
  };
}
