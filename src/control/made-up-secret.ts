/** The gateway's own secret, where the configuration names none: the same for all threads, and gone with the process. */
import { randomBytes } from 'node:crypto';
import type { Config } from '../config/schema.ts';

let madeUp: string | undefined;

/** For the threads alone: what operators are shown is what they wrote. */
export function withSecret(config: Config): Config {
  const isNeeded = config.pools.some(({ sticky }) => sticky !== undefined && 'cookie' in sticky);
  if (!isNeeded || config.gateway.secret !== undefined) return config;
  madeUp ??= randomBytes(32).toString('base64url');
  return { ...config, gateway: { ...config.gateway, secret: madeUp } };
}
