/** `store:` and `cache.store:` of gateway.yaml, as written → where Redis is and how it is used. */
import type { GatewayConfig, StoreConfig } from '../config/schema.ts';
import type { OnStoreFailure } from '../limits/limiter.ts';

export interface RedisOptions {
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  readonly username?: string;
  readonly password?: string;
  readonly db: number;
  readonly keyPrefix: string;
  /** A request waits no longer for an answer. */
  readonly timeoutMs: number;
  readonly onFailure: OnStoreFailure;
}

/** @returns undefined for memory. @throws when the URL is none of Redis: the loader has checked it. */
export function redisOptions(store: StoreConfig): RedisOptions | undefined {
  if (store === 'memory') return undefined;
  const { url, keyPrefix, timeout, onFailure } = typeof store === 'string' ? { ...DEFAULTS, url: store } : store;
  // The URL holds the password: no error may repeat it.
  if (!URL.canParse(url)) throw new Error(NOT_A_URL);
  const { protocol, hostname, port, username, password, pathname } = new URL(url);
  const db = pathname === '' || pathname === '/' ? 0 : Number(pathname.slice(1));
  if (!/^rediss?:$/.test(protocol) || hostname === '' || !Number.isInteger(db) || db < 0) {
    throw new Error(NOT_A_URL);
  }
  return {
    host: hostname.replace(/^\[|\]$/g, ''),
    port: port === '' ? 6379 : Number(port),
    tls: protocol === 'rediss:',
    ...(username === '' ? {} : { username: decodeURIComponent(username) }),
    ...(password === '' ? {} : { password: decodeURIComponent(password) }),
    db,
    keyPrefix,
    timeoutMs: timeout,
    onFailure,
  };
}

/** @returns undefined: answers are not shared. @throws as `redisOptions`. */
export function answerStoreOptions({ cache, store }: Pick<GatewayConfig, 'cache' | 'store'>): RedisOptions | undefined {
  if (cache.store === 'redis') return redisOptions(store);
  if (typeof cache.store === 'string') return redisOptions(cache.store);
  return redisOptions({ ...cache.store, onFailure: DEFAULTS.onFailure });
}

const NOT_A_URL = 'not the URL of a Redis; one is redis://:password@host:6379/0';
const DEFAULTS = { keyPrefix: 'aya:', timeout: 50, onFailure: 'local' } as const;
