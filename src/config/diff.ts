/** What one configuration changes against another: for `aya plan` and the log of a reload. */
import { isDeepStrictEqual } from 'node:util';
import { isObject } from './merge.ts';
import type { Config, GatewayConfig, PoolConfig } from './schema.ts';

export interface Change {
  readonly kind: 'gateway' | 'pool' | 'endpoint' | 'route' | 'consumer';
  /** Of an endpoint: `pool url`. Of the gateway: empty. */
  readonly name: string;
  readonly change: 'added' | 'removed' | 'changed';
  /** What differs, as `health.active.interval`; empty for what was added or removed. */
  readonly paths: readonly string[];
  /** Paths whose new values a running gateway only takes on when it is started again. */
  readonly restart: readonly string[];
}

/** Sockets, threads and shared tables are made once, at start; control/restart-keys.ts keeps their old values. */
const NEEDS_RESTART = /^((listen|threads|admin|store)(\.|$)|metrics\.maxRoutes$)/;
/** Of listeners, what the next handshake already uses. */
const FOLLOWS = /^listen\.\d+\.tls(\.(certificates|acme(\..+)?|clientCa|minVersion)|Digest)$/;

export function diff(before: Config, after: Config): Change[] {
  return [
    ...diffGateway(before, after),
    ...diffNamed('pool', before.pools.map(withoutEndpoints), after.pools.map(withoutEndpoints)),
    ...diffNamed('endpoint', before.pools.flatMap(endpointsOf), after.pools.flatMap(endpointsOf)),
    ...diffNamed('route', before.routes, after.routes),
    ...diffNamed('consumer', before.consumers, after.consumers),
  ];
}

function diffGateway(before: Config, after: Config): Change[] {
  const paths = differences(withNumberedListeners(before.gateway), withNumberedListeners(after.gateway));
  if (paths.length === 0) return [];
  const restart = paths.filter((path) => NEEDS_RESTART.test(path) && !FOLLOWS.test(path));
  return [{ kind: 'gateway', name: '', change: 'changed', paths, restart }];
}

/** What differs is looked for inside of each: as long as they are as many, the first is the first. */
function withNumberedListeners(gateway: GatewayConfig): unknown {
  return { ...gateway, listen: { ...gateway.listen } };
}

interface Named {
  readonly name: string;
}

function diffNamed(kind: Change['kind'], before: readonly Named[], after: readonly Named[]): Change[] {
  const old = new Map(before.map((item) => [item.name, item]));
  const names = new Set(after.map((item) => item.name));
  const changes = after.flatMap((item): Change[] => {
    const former = old.get(item.name);
    if (former === undefined) return [{ kind, name: item.name, change: 'added', paths: [], restart: [] }];
    const paths = differences(former, item).filter((path) => path !== 'source');
    return paths.length === 0 ? [] : [{ kind, name: item.name, change: 'changed', paths, restart: [] }];
  });
  const removed = before.filter(({ name }) => !names.has(name));
  return [
    ...changes,
    ...removed.map(({ name }): Change => ({ kind, name, change: 'removed', paths: [], restart: [] })),
  ];
}

function withoutEndpoints({ endpoints: _, ...pool }: PoolConfig): Named {
  return pool;
}

const endpointsOf = ({ name, endpoints }: PoolConfig): Named[] =>
  endpoints.map(({ url, ...settings }) => ({ name: `${name} ${url}`, ...settings }));

/** Paths of the smallest parts that differ; a list is one part. */
function differences(before: unknown, after: unknown, path = ''): string[] {
  if (isDeepStrictEqual(before, after)) return [];
  if (!isObject(before) || !isObject(after)) return [path];
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...keys].flatMap((key) => differences(before[key], after[key], path === '' ? key : `${path}.${key}`));
}
