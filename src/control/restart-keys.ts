/**
 * Keys of gateway.yaml that only a restart can change, because sockets, threads or shared tables were made from them. A
 * reload that changes one keeps the old value and says so. Certificates of listeners are not among them.
 */
import type { GatewayConfig, ListenerConfig } from '../config/schema.ts';

const RESTART_KEYS = ['listen', 'threads', 'admin', 'store', 'cache'] as const;

export interface KeptUntilRestart {
  /** What can be served now. */
  readonly gateway: GatewayConfig;
  /** Keys whose new value waits for a restart. */
  readonly kept: readonly string[];
}

export function keepUntilRestart(serving: GatewayConfig, next: GatewayConfig): KeptUntilRestart {
  const followed = followCertificates(serving.listen, next.listen);
  const now = { ...serving, listen: followed };
  const kept: string[] = RESTART_KEYS.filter((key) => !isSame(now[key], next[key]));
  const gateway = { ...next, ...pick(now, RESTART_KEYS) };
  if (serving.metrics.maxRoutes !== next.metrics.maxRoutes) {
    kept.push('metrics.maxRoutes');
    gateway.metrics = { ...next.metrics, maxRoutes: serving.metrics.maxRoutes };
  }
  return { gateway, kept };
}

/** Sockets stay; certificates, keys and the CA of clients are those of the next handshake. */
function followCertificates(serving: readonly ListenerConfig[], next: readonly ListenerConfig[]): ListenerConfig[] {
  return serving.map((listener, at) => {
    const other = next[at];
    if (listener.tls === undefined || other?.tls === undefined || !isSamePlace(listener, other)) return listener;
    const { certificates, acme, clientCa, minVersion } = other.tls;
    const { clientAuth } = listener.tls;
    // A listener that asks clients for certificates keeps its CA until it no longer asks.
    if (clientAuth !== 'none' && clientCa === undefined) return listener;
    const tls = {
      certificates,
      ...(acme && { acme }),
      ...(clientCa === undefined ? {} : { clientCa }),
      clientAuth,
      minVersion,
    };
    return other.tlsDigest === undefined ? { ...listener, tls } : { ...listener, tls, tlsDigest: other.tlsDigest };
  });
}

const isSamePlace = (one: ListenerConfig, other: ListenerConfig) => one.host === other.host && one.port === other.port;

function pick<Key extends keyof GatewayConfig>(config: GatewayConfig, keys: readonly Key[]): Pick<GatewayConfig, Key> {
  return Object.fromEntries(keys.map((key) => [key, config[key]])) as Pick<GatewayConfig, Key>;
}

function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
