/**
 * Keys of gateway.yaml that only a restart can change, because sockets, threads or shared tables were made from them. A
 * reload that changes one keeps the old value and says so.
 */
import type { GatewayConfig } from '../config/schema.ts';

const RESTART_KEYS = ['listen', 'threads', 'admin'] as const;

export interface KeptUntilRestart {
  /** What can be served now. */
  readonly gateway: GatewayConfig;
  /** Keys whose new value waits for a restart. */
  readonly kept: readonly string[];
}

export function keepUntilRestart(serving: GatewayConfig, next: GatewayConfig): KeptUntilRestart {
  const kept: string[] = RESTART_KEYS.filter((key) => !isSame(serving[key], next[key]));
  const gateway = { ...next, ...pick(serving, RESTART_KEYS) };
  if (serving.metrics.maxRoutes !== next.metrics.maxRoutes) {
    kept.push('metrics.maxRoutes');
    gateway.metrics = { ...next.metrics, maxRoutes: serving.metrics.maxRoutes };
  }
  return { gateway, kept };
}

function pick<Key extends keyof GatewayConfig>(config: GatewayConfig, keys: readonly Key[]): Pick<GatewayConfig, Key> {
  return Object.fromEntries(keys.map((key) => [key, config[key]])) as Pick<GatewayConfig, Key>;
}

function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
