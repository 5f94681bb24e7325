/**
 * Everything compiled from one configuration: a Fastify app that never listens, its rules, its matcher, its pools. It
 * never changes once built; a reload builds the next one beside it and moves a pointer. It is closed when the last
 * request that began on it has ended.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setImmediate as nextTurn } from 'node:timers/promises';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { EndpointConfig, GatewayConfig, PoolConfig, RouteConfig } from '../config/schema.ts';
import { GatewayError } from '../errors.ts';
import { attemptDispatch } from '../upstream/attempt.ts';
import { createBalancer } from '../upstream/balance.ts';
import { Breaker, hasBreaker } from '../upstream/breaker.ts';
import type { EndpointStore } from '../upstream/endpoint-store.ts';
import { endpointKey, poolKey } from '../upstream/identity.ts';
import { LatencyQuantile } from '../upstream/latency-quantile.ts';
import { LoadReader } from '../upstream/load/reader.ts';
import { adaptiveOf } from '../upstream/load/weights.ts';
import { Pool, type Endpoint } from '../upstream/pool.ts';
import type { Seat } from '../upstream/tiers.ts';
import { compileSticky } from '../upstream/sticky/compile.ts';
import { RetryBudget } from '../upstream/retry-budget.ts';
import { Gate } from '../upstream/saturation/gate.ts';
import type { DataContext } from './context.ts';
import type { Exchange } from './exchange.ts';
import type { Inspector } from './inspected/inspector.ts';
import { compileMatcher, type MatchEntry, type Matcher } from './match/matcher.ts';
import type { GenerationPlan } from './messages.ts';
import { compileRule, editAnswer, logBug, type Rule } from './rule.ts';
import { buildIdentities, type ServerIdentity } from './tls.ts';
import { awaitTaken } from './untaken.ts';

/** Rules compiled in one go, before requests get their turn. */
const SLICE = 100;

const EXCHANGE = Symbol('aya.exchange');
type WithExchange = Record<typeof EXCHANGE, Exchange>;

export class Generation {
  readonly id: number;
  readonly matcher: Matcher<Rule>;
  readonly settings: GatewayConfig;
  /** What file names in the settings are relative to. */
  readonly dir: string;
  /** Who each listener proves to be, in their order. */
  readonly serverIdentities: readonly (ServerIdentity | undefined)[];
  /** Undefined where no route inspects WebSockets. */
  readonly inspector: Inspector | undefined;
  readonly #app: FastifyInstance;
  readonly #release: () => void;
  #inFlight = 0;
  #retired = false;

  constructor(
    { id, config }: GenerationPlan,
    matcher: Matcher<Rule>,
    serverIdentities: readonly (ServerIdentity | undefined)[],
    app: FastifyInstance,
    inspector: Inspector | undefined,
    release: () => void,
  ) {
    this.id = id;
    this.settings = config.gateway;
    this.dir = config.dir;
    this.matcher = matcher;
    this.serverIdentities = serverIdentities;
    this.#app = app;
    this.inspector = inspector;
    this.#release = release;
  }

  /** Runs the hooks of the exchange's rule and forwards it, or answers. */
  serve(exchange: Exchange): void {
    const { req, res } = exchange;
    (req as unknown as WithExchange)[EXCHANGE] = exchange;
    // Fastify only has to find the chain of hooks; what the client sent is in the exchange (docs/decisions/0004).
    req.url = `/${exchange.rule.hooks.length}`;
    req.method = 'GET';
    // What it needs of Node's own objects, those of an HTTP/2 stream have as well.
    this.#app.routing(req as IncomingMessage, res as ServerResponse);
  }

  begin(): void {
    this.#inFlight++;
  }

  end(): void {
    this.#inFlight--;
    if (this.#retired && this.#inFlight === 0) this.#close();
  }

  /** Takes no new requests; closes when the last one is through. */
  retire(): void {
    if (this.#retired) return;
    this.#retired = true;
    if (this.#inFlight === 0) this.#close();
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  #close(): void {
    void this.#app.close();
    void this.inspector?.close();
    this.#release();
  }
}

/** @throws when a part cannot be built; nothing of it is left behind then. */
export async function buildGeneration(
  plan: GenerationPlan,
  store: EndpointStore,
  context: DataContext,
  onReleased: () => void,
): Promise<Generation> {
  const held: [PoolConfig, EndpointConfig][] = [];
  const release = () => {
    for (const [pool, endpoint] of held) store.release(pool, endpoint);
  };
  try {
    const pools = buildPools(plan, store, context, held);
    const { config } = plan;
    const serverIdentities = buildIdentities(config.gateway.listen, plan.tlsFiles);
    const consumers = context.consumers.of(plan.consumers);
    const parts = { config, pools, consumers, innermost: attemptDispatch(context), context };
    const entries: MatchEntry<Rule>[] = [];
    for (const route of config.routes) {
      const rule = await compileRule(route, plan.routeRows.get(route.name)!, parts);
      entries.push({ rule, match: route.match });
      if (entries.length % SLICE === 0) await nextTurn();
    }
    const matcher = compileMatcher(entries);
    const app = await buildApp(
      entries.map(({ rule }) => rule),
      context,
    );
    const inspector = await buildInspector(config.routes, context);
    return new Generation(plan, matcher, serverIdentities, app, inspector, () => {
      release();
      onReleased();
    });
  } catch (error) {
    release();
    throw error;
  }
}

/** What carries inspected WebSockets is loaded with the first route that has any. */
async function buildInspector(routes: readonly RouteConfig[], context: DataContext): Promise<Inspector | undefined> {
  if (!routes.some(({ websocket }) => websocket !== false && websocket.inspect !== undefined)) return undefined;
  const { Inspector } = await import('./inspected/inspector.ts');
  return Inspector.build(routes, context);
}

export function buildPools(
  plan: GenerationPlan,
  store: EndpointStore,
  context: DataContext,
  held: [PoolConfig, EndpointConfig][],
): Map<string, Pool> {
  const { table, clock, random, balancers, thread } = context;
  return new Map(
    plan.config.pools.map((config) => {
      const endpoints = config.endpoints.map((endpoint): Endpoint => {
        const row = plan.endpointRows.get(endpointKey(config, endpoint))!;
        const connections = store.acquire(config, endpoint, row);
        held.push([config, endpoint]);
        const breaker = breakerOf('endpoint', config, row, context);
        return { ...endpoint, writtenWeight: endpoint.weight, row, connections, breaker };
      });
      const createTier = () => createBalancer<Seat<Endpoint>>(balancers, config.balance, { table, clock, random });
      const row = plan.endpointRows.get(poolKey(config))!;
      const breaker = breakerOf('pool', config, row, context);
      const active = () => endpoints.reduce((sum, endpoint) => sum + table.inFlight(endpoint.row), 0);
      const budget = new RetryBudget({ clock, table: table.budgets, row, thread, active });
      const p95 = new LatencyQuantile(table.budgets, row);
      const sticky = compileSticky(config, endpoints, plan.config.gateway, context);
      const adaptive = adaptiveOf(config.balance);
      const loads = adaptive && new LoadReader(adaptive, table.loads, clock);
      const gate = gateOf(config, plan, context);
      const { zone } = plan.config.gateway;
      const shared = { table, clock, random, budget, p95, zone };
      const own = { config, endpoints, breaker, gate, sticky, loads };
      return [config.name, new Pool({ ...shared, ...own, createBalancer: createTier })];
    }),
  );
}

function breakerOf(
  whose: 'endpoint' | 'pool',
  { breaker: config }: PoolConfig,
  row: number,
  { thread, table, clock, random, breakerMoved: onMoved }: DataContext,
): Breaker | undefined {
  if (config === undefined || !hasBreaker(config, whose)) return undefined;
  return new Breaker({ config, row, thread, table, clock, random, onMoved });
}

function gateOf(
  pool: PoolConfig,
  { endpointRows }: GenerationPlan,
  { thread, threads, table, clock, wheel, soon }: DataContext,
): Gate | undefined {
  const { name, maxInFlight: config } = pool;
  if (config === undefined) return undefined;
  const row = endpointRows.get(poolKey(pool))!;
  const { endpoints } = pool;
  return new Gate({ name, endpoints, config, row, thread, threads, table, clock, wheel, soon });
}

/**
 * Hooks are Fastify's. A rule with n of them runs on the internal route `/n`, whose k-th hook is the k-th of whichever rule
 * the exchange has: so the app is the same size for ten rules and for ten thousand.
 */
async function buildApp(rules: readonly Rule[], context: DataContext): Promise<FastifyInstance> {
  const app = fastify({ logger: false, exposeHeadRoutes: false, return503OnClosing: false });
  const most = rules.reduce((count, rule) => Math.max(count, rule.hooks.length), 0);
  const hooks = Array.from({ length: most }, (_, at) => hookAt(at));
  for (let count = 0; count <= most; count++) {
    app.route({ method: 'GET', url: `/${count}`, onRequest: hooks.slice(0, count), handler });
  }
  app.addHook('onSend', (request, reply, payload, done) => {
    const exchange = exchangeOf(request);
    editReply(exchange, reply);
    awaitTaken(exchange.res, exchange.transport, context, exchange.rule.idleMs);
    done(null, payload);
  });
  app.setErrorHandler((error, request) => {
    const exchange = exchangeOf(request);
    exchange.fail(error instanceof GatewayError ? error : internalError(error, exchange, context));
  });
  await app.ready();
  return app;
}

type Hook = (request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void) => void;

function hookAt(at: number): Hook {
  return (request, reply, done) => {
    const exchange = exchangeOf(request);
    exchange.reply = reply;
    try {
      exchange.rule.hooks[at]!.onRequest!(exchange, reply, done);
    } catch (error) {
      // Fastify takes `undefined` for no error: whatever was thrown, the request must not pass.
      done(error instanceof Error ? error : new Error(`a plugin threw ${String(error)}`));
    }
  };
}

function handler(request: FastifyRequest, reply: FastifyReply): void {
  const exchange = exchangeOf(request);
  exchange.reply = reply;
  exchange.forward();
}

/** What a hook answers through Fastify gets the same last edits as what the exchange itself sends. */
function editReply(exchange: Exchange, reply: FastifyReply): void {
  if (exchange.rule.edits.length === 0 && exchange.record?.isAsked !== true) return;
  const fields = Object.entries(reply.getHeaders()).flatMap(([name, values]) =>
    [values ?? []].flat().flatMap((value) => [name, String(value)]),
  );
  for (const name of Object.keys(reply.getHeaders())) reply.removeHeader(name);
  editAnswer(exchange, fields);
  reply.headers(asHeaders(fields));
}

/** As Fastify wants fields: by name, a repeated one with a list. */
function asHeaders(fields: readonly string[]): Record<string, string[]> {
  // Without a prototype: a field may be named `constructor`.
  const headers = Object.create(null) as Record<string, string[]>;
  for (let at = 0; at < fields.length; at += 2) (headers[fields[at]!.toLowerCase()] ??= []).push(fields[at + 1]!);
  return headers;
}

function exchangeOf(request: FastifyRequest): Exchange {
  return (request.raw as unknown as WithExchange)[EXCHANGE];
}

/** A bug: the client learns nothing of it, the log everything. */
function internalError(error: unknown, exchange: Exchange, { log }: DataContext): GatewayError {
  logBug(error, exchange, log);
  return new GatewayError('proxy_internal_error', error instanceof Error ? error.message : String(error), {
    cause: error,
  });
}
