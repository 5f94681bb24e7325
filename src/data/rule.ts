/** A route, compiled: everything that can be decided before a request comes, decided. */
import type { Logger } from 'pino';
import type { Config, RouteConfig, WebsocketConfig } from '../config/schema.ts';
import type { AnyPlugin, Concern, PluginContext } from '../extension.ts';
import { PRIORITIES } from '../priority.ts';
import type { Pool } from '../upstream/pool.ts';
import type { ConsumerDirectory } from './consumers.ts';
import type { DataContext } from './context.ts';
import { compose, type Dispatch } from './dispatch.ts';
import type { Exchange } from './exchange.ts';
import { plainFrames } from './inspected/handshake.ts';
import { carriesGrpc } from './match/grpc.ts';
import { compileRequestLimits } from './request-limits.ts';

/** For a try's head, where a timeout may be retried and the route names none. */
const DEFAULT_PER_TRY_MS = 5000;

export interface Rule {
  readonly name: string;
  /** Its row in the metric table. */
  readonly row: number;
  /** Undefined when a plugin answers or chooses. */
  readonly pool: Pool | undefined;
  /** All of its requests are calls of gRPC. */
  readonly grpc: boolean;
  readonly allowsEncodedSlashes: boolean;
  readonly maxBodyBytes: number;
  /** @throws GatewayError when the head is beyond one of the route's other limits. */
  readonly admit: (exchange: Exchange) => void;
  readonly headMs: number;
  /** 0: unbounded. */
  readonly totalMs: number;
  /** 0: as long as `headMs` leaves. */
  readonly perTryMs: number;
  readonly idleMs: number;
  readonly streamIdleMs: number;
  readonly websocket: WebsocketConfig;
  /** Of PRIORITIES. */
  readonly priority: number;
  /** Share of its requests whose decisions are logged. */
  readonly sample: number;
  /** Concerns that decide about a request, in the order of the path. */
  readonly hooks: readonly Concern[];
  /** Concerns that want to know of the end. */
  readonly endings: readonly Concern[];
  /** Concerns that edit every answer. */
  readonly edits: readonly Concern[];
  /** A CORS preflight about one of its requests is answered here. */
  readonly answersPreflights: boolean;
  readonly dispatch: Dispatch;
}

/** What all rules of a generation are compiled with. */
export interface RuleParts {
  readonly config: Config;
  readonly pools: ReadonlyMap<string, Pool>;
  readonly consumers: ConsumerDirectory;
  readonly innermost: Dispatch;
  readonly context: DataContext;
}

export async function compileRule(route: RouteConfig, row: number, parts: RuleParts): Promise<Rule> {
  const { config, pools, innermost } = parts;
  const concerns = await compileConcerns(route, row, parts);
  const layers = concerns.filter((concern) => concern.layer !== undefined);
  const isInspected = route.websocket !== false && route.websocket.inspect !== undefined;
  return {
    name: route.name,
    row,
    pool: route.pool === undefined ? undefined : pools.get(route.pool),
    grpc: carriesGrpc(route.match),
    allowsEncodedSlashes: route.limits.encodedSlashes === 'allow',
    maxBodyBytes: route.limits.body === 'none' ? Infinity : route.limits.body,
    admit: compileRequestLimits(route.limits),
    headMs: route.timeout.head,
    totalMs: route.timeout.total ?? 0,
    perTryMs: route.timeout.perTry ?? (retriesTimeouts(route) ? DEFAULT_PER_TRY_MS : 0),
    idleMs: route.timeout.idle,
    streamIdleMs: route.timeout.streamIdle,
    websocket: route.websocket,
    priority: PRIORITIES.indexOf(route.priority ?? 'normal'),
    sample: route.explain?.sample ?? config.gateway.explain.sample,
    hooks: concerns.filter((concern) => concern.onRequest !== undefined),
    endings: concerns.filter((concern) => concern.onEnd !== undefined),
    edits: concerns.filter((concern) => concern.onAnswer !== undefined),
    answersPreflights: concerns.some((concern) => concern.answersPreflights === true),
    dispatch: compose(
      layers.map((concern) => (next: Dispatch) => concern.layer!(next)),
      isInspected ? plainFrames(innermost) : innermost,
    ),
  };
}

async function compileConcerns(route: RouteConfig, row: number, parts: RuleParts): Promise<Concern[]> {
  const { config, consumers, context, innermost, pools } = parts;
  const pluginContext: PluginContext = {
    route,
    config,
    consumers,
    clock: context.clock,
    random: context.random,
    log: context.log,
    documents: context.documents,
    limits: context.limits,
    cache: context.cache,
    send: innermost,
    counter: (name, value) => context.counters.counter(context.thread, row, name, value),
    pool(name) {
      const pool = pools.get(name);
      if (pool === undefined) throw new Error(`route '${route.name}': unknown pool '${name}'`);
      return pool;
    },
  };
  const settings = route as unknown as Readonly<Record<string, unknown>>;
  const isOn = ({ name, implied }: AnyPlugin) =>
    settings[name] === undefined || settings[name] === false ? implied?.(route, config) === true : true;
  return Promise.all(context.plugins.filter(isOn).map((plugin) => plugin.create(settings[plugin.name], pluginContext)));
}

/** The last edits, the same for every answer of the route, whoever gives it. */
export function editAnswer(exchange: Exchange, fields: string[]): void {
  const { edits } = exchange.rule;
  for (let at = 0; at < edits.length; at++) edits[at]!.onAnswer!(exchange, fields);
  exchange.record?.editAnswer(fields);
}

/** As `editAnswer`, of the answer that is given when all else has failed: it goes out without an edit that throws. */
export function editProblem(exchange: Exchange, fields: string[], log: Logger): void {
  try {
    editAnswer(exchange, fields);
  } catch (error) {
    logBug(error, exchange, log);
  }
}

/** Tells those who want to know that the exchange is over. Nobody is above them: what they throw would end the thread. */
export function tellEnd(exchange: Exchange, log: Logger): void {
  for (const concern of exchange.rule.endings) {
    try {
      concern.onEnd!(exchange);
    } catch (error) {
      logBug(error, exchange, log);
    }
  }
}

export function logBug(error: unknown, exchange: Exchange, log: Logger): void {
  log.error({ err: error, route: exchange.routeName, requestId: exchange.id }, 'request failed inside the gateway');
}

function retriesTimeouts(route: RouteConfig): boolean {
  const { retry } = route as { retry?: false | { on: readonly unknown[] } };
  return retry !== undefined && retry !== false && retry.on.includes('timeout');
}
