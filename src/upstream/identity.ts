/**
 * When an endpoint is still the same after a reload: same pool, same address, same protocol, same TLS identity. What is the same keeps
 * its row, sockets, health, averages and counters; what is not starts afresh.
 */
import type { EndpointConfig, PoolConfig } from '../config/schema.ts';

export function endpointKey(pool: PoolConfig, endpoint: EndpointConfig): string {
  const address = `${pool.name} ${endpoint.url}${pool.http2 ? ' h2' : ''}`;
  return pool.tls === undefined ? address : `${address} ${JSON.stringify(pool.tls)} ${pool.tlsDigest ?? ''}`;
}

/** Of the row in which lies what a pool has as a whole: its breaker, its budget. No endpoint has it: theirs hold a URL. */
export function poolKey({ name }: PoolConfig): string {
  return `${name} as a whole`;
}
