/** A route, compiled: everything that can be decided before a request comes, decided. */
import type { RouteConfig } from '../config/schema.ts';
import type { Concern, PluginContext } from '../extension.ts';
import type { Pool } from '../upstream/pool.ts';
import type { DataContext } from './context.ts';
import { compose, type Dispatch } from './dispatch.ts';

/** For a try's head, where a timeout may be retried and the route names none. */
const DEFAULT_PER_TRY_MS = 5000;

export interface Rule {
  readonly name: string;
  /** Its row in the metric table. */
  readonly row: number;
  /** Undefined when a plugin answers or chooses. */
  readonly pool: Pool | undefined;
  readonly allowsEncodedSlashes: boolean;
  readonly maxBodyBytes: number;
  readonly headMs: number;
  /** 0: unbounded. */
  readonly totalMs: number;
  /** 0: as long as `headMs` leaves. */
  readonly perTryMs: number;
  readonly idleMs: number;
  readonly streamIdleMs: number;
  /** Concerns that decide about a request, in the order of the path. */
  readonly hooks: readonly Concern[];
  /** Concerns that want to know of the end. */
  readonly endings: readonly Concern[];
  readonly dispatch: Dispatch;
}

export function compileRule(
  route: RouteConfig,
  row: number,
  pools: ReadonlyMap<string, Pool>,
  innermost: Dispatch,
  context: DataContext,
): Rule {
  const concerns = compileConcerns(route, pools, context);
  const layers = concerns.filter((concern) => concern.layer !== undefined);
  return {
    name: route.name,
    row,
    pool: route.pool === undefined ? undefined : pools.get(route.pool),
    allowsEncodedSlashes: route.limits.encodedSlashes === 'allow',
    maxBodyBytes: route.limits.body === 'none' ? Infinity : route.limits.body,
    headMs: route.timeout.head,
    totalMs: route.timeout.total ?? 0,
    perTryMs: route.timeout.perTry ?? (retriesTimeouts(route) ? DEFAULT_PER_TRY_MS : 0),
    idleMs: route.timeout.idle,
    streamIdleMs: route.timeout.streamIdle,
    hooks: concerns.filter((concern) => concern.onRequest !== undefined),
    endings: concerns.filter((concern) => concern.onEnd !== undefined),
    dispatch: compose(
      layers.map((concern) => (next: Dispatch) => concern.layer!(next)),
      innermost,
    ),
  };
}

function compileConcerns(route: RouteConfig, pools: ReadonlyMap<string, Pool>, context: DataContext): Concern[] {
  const pluginContext: PluginContext = {
    route,
    clock: context.clock,
    random: context.random,
    pool(name) {
      const pool = pools.get(name);
      if (pool === undefined) throw new Error(`route '${route.name}': unknown pool '${name}'`);
      return pool;
    },
  };
  const settings = route as unknown as Readonly<Record<string, unknown>>;
  return context.plugins
    .filter((plugin) => settings[plugin.name] !== undefined && settings[plugin.name] !== false)
    .map((plugin) => plugin.create(settings[plugin.name], pluginContext));
}

function retriesTimeouts(route: RouteConfig): boolean {
  const { retry } = route as { retry?: false | { on: readonly unknown[] } };
  return retry !== undefined && retry !== false && retry.on.includes('timeout');
}
