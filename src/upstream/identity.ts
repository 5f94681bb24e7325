/**
 * When an endpoint is still the same after a reload: same pool, same address, same TLS identity. What is the same keeps
 * its row, sockets, health, averages and counters; what is not starts afresh.
 */
import type { EndpointConfig, PoolConfig } from '../config/schema.ts';

export function endpointKey(pool: PoolConfig, endpoint: EndpointConfig): string {
  return pool.tls === undefined
    ? `${pool.name} ${endpoint.url}`
    : `${pool.name} ${endpoint.url} ${JSON.stringify(pool.tls)}`;
}
