/**
 * What a plugin is, and how the gateway finds them. Every folder of `plugins/` holds an `index.ts` that exports one
 * definition, and a `schema.ts` that exports how users write its options; its name in camel case is its key in a route.
 * `src` imports none of them by name, and data threads import no schema: they only see what was checked.
 */
import { readdir } from 'node:fs/promises';
import type { FastifyReply } from 'fastify';
import type { Logger } from 'pino';
import type { TSchema } from 'typebox';
import type { CacheStore } from './cache/store.ts';
import type { Clock, Random } from './clock.ts';
import type { OptionFiles } from './config/option-files.ts';
import type { Config, GatewayConfig, RouteConfig } from './config/schema.ts';
import type { ConsumerDirectory } from './data/consumers.ts';
import type { Exchange } from './data/exchange.ts';
import type { Dispatch } from './data/dispatch.ts';
import type { Documents } from './data/documents.ts';
import type { Phase } from './data/phases.ts';
import type { Limits } from './limits/limiter.ts';
import type { Counter, CounterSpec } from './memory/counter-table.ts';
import type { Pool } from './upstream/pool.ts';
import { STICKY_COUNTER } from './upstream/sticky/sessions.ts';

/** What a plugin may use while it compiles one route. */
export interface PluginContext {
  readonly route: RouteConfig;
  /** The whole configuration that is being compiled. */
  readonly config: Config;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** The callers that are known. */
  readonly consumers: ConsumerDirectory;
  /** What the control plane fetched of the URLs that `documents` named. */
  readonly documents: Documents;
  readonly limits: Limits;
  /** Answers that were stored, by any thread. */
  readonly cache: CacheStore;
  /** The generation's pool of that name; the loader has checked that it exists. */
  pool(name: string): Pool;
  /** Sends a request of the plugin's own through its pool, as one try. */
  readonly send: Dispatch;
  /** This route's cell of one of the plugin's `counters`. */
  counter(name: string, value: string): Counter;
}

/** What one plugin does on one route. Absent members cost nothing. */
export interface Concern {
  /**
   * Decides about a request, once, on the client's side. Call `done()` to go on, `done(error)` to refuse, or answer with
   * `reply.send` and call neither.
   */
  onRequest?(exchange: Exchange, reply: FastifyReply, done: (error?: Error) => void): void;
  /** Carries the message, on the upstream's side: zero to many times a request. */
  layer?(next: Dispatch): Dispatch;
  /**
   * Edits the fields of every answer just before its head leaves: an upstream's, a plugin's, and problems, also where the
   * request was refused before `onRequest` had its turn. Must not throw.
   */
  onAnswer?(exchange: Exchange, fields: string[]): void;
  /** Its `onRequest` answers CORS preflights: they find this route by the method that they ask about. */
  readonly answersPreflights?: boolean;
  /** Runs once when the exchange is over, however it ended. Must not throw. */
  onEnd?(exchange: Exchange): void;
}

/** @typeParam Made a promise where a library is loaded that most gateways do not need. */
export interface PluginDefinition<Options = never, Made extends Concern | Promise<Concern> = Concern> {
  /** The key in a route: the folder's name in camel case. */
  readonly name: string;
  readonly phase: Phase;
  /**
   * Puts what files hold in the place of their names. Runs at load, before `check`, so that all threads compile the same.
   * @throws OptionFault for one that cannot be read.
   */
  resolve?(options: Options, files: OptionFiles): Options;
  /**
   * Cross-checks that the schema cannot say. Runs in `aya check` and at load; returns sentences about what is wrong,
   * each with the path below the plugin's key.
   */
  check?(options: Options, route: RouteConfig, pools: ReadonlySet<string>): readonly ConfigFault[];
  /** The same, where it depends on gateway.yaml. */
  checkGateway?(options: Options, gateway: GatewayConfig): readonly ConfigFault[];
  /** Pools that these options name, so that they count as used. */
  pools?(options: Options): readonly string[];
  /** URLs of documents that these options need (keys of an issuer): the control plane fetches them and keeps them fresh. */
  documents?(options: Options): readonly string[];
  /** The concern is on this route although the route does not name it, or turns it off; `create` gets that then. */
  implied?(route: RouteConfig, config: Config): boolean;
  /**
   * What a route that has options of its own takes over from `defaults`; without this all that it does not say itself.
   * What widens a guard must stand where it guards.
   */
  readonly inherits?: readonly string[];
  /** What it counts, by route. */
  readonly counters?: readonly CounterSpec[];
  /** Compiles the options of one route. Runs on every thread, when a generation is built. */
  create(options: Options, context: PluginContext): Made;
}

export interface ConfigFault {
  readonly path: readonly (string | number)[];
  readonly message: string;
  /** Default: error. */
  readonly severity?: 'error' | 'warning';
}

/** A ConfigFault that is thrown, while options are resolved. */
export class OptionFault extends Error implements ConfigFault {
  override readonly name = 'OptionFault';
  /** Below the plugin's key. */
  readonly path: readonly (string | number)[];

  constructor(path: readonly (string | number)[], message: string) {
    super(message);
    this.path = path;
  }
}

export function definePlugin<Options, Made extends Concern | Promise<Concern> = Concern>(
  definition: PluginDefinition<Options, Made>,
): PluginDefinition<Options, Made> {
  return definition;
}

export type AnyPlugin = PluginDefinition<unknown, Concern | Promise<Concern>>;

/** What all of them count, and the core with them. Both planes list it in the same order: that of the names of the plugins. */
export function countersOf(plugins: readonly AnyPlugin[]): CounterSpec[] {
  const ofPlugins = [...plugins].sort((a, b) => (a.name < b.name ? -1 : 1)).flatMap(({ counters = [] }) => counters);
  return [STICKY_COUNTER, ...ofPlugins];
}

const ROOT = new URL('../plugins/', import.meta.url);
const EXTENSION = import.meta.url.endsWith('.ts') ? 'ts' : 'js';

/** The definition of every folder, in the order of their names. */
export async function scanPlugins(): Promise<AnyPlugin[]> {
  return (await scan<{ default: AnyPlugin }>('index')).map((module) => module.default);
}

/** The schema of every folder, in the same order. */
export async function scanSchemas(): Promise<TSchema[]> {
  return (await scan<{ default: TSchema }>('schema')).map((module) => module.default);
}

/** Checks that need a library which data threads should not load: a `check` beside the schema. In the same order. */
export async function scanChecks(): Promise<AnyPlugin['check'][]> {
  return (await scan<{ check?: AnyPlugin['check'] }>('schema')).map(({ check }) => check);
}

async function scan<Module>(file: string): Promise<Module[]> {
  const entries = await readdir(ROOT, { withFileTypes: true });
  const folders = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  return Promise.all(
    folders.sort().map((folder) => import(new URL(`${folder}/${file}.${EXTENSION}`, ROOT).href) as Promise<Module>),
  );
}
