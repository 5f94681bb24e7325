/**
 * What a plugin is, and how the gateway finds them. Every folder of `plugins/` holds an `index.ts` that exports one
 * definition, and a `schema.ts` that exports how users write its options; its name in camel case is its key in a route.
 * `src` imports none of them by name, and data threads import no schema: they only see what was checked.
 */
import { readdir } from 'node:fs/promises';
import type { FastifyReply } from 'fastify';
import type { TSchema } from 'typebox';
import type { Clock, Random } from './clock.ts';
import type { RouteConfig } from './config/schema.ts';
import type { Exchange } from './data/exchange.ts';
import type { Dispatch } from './data/dispatch.ts';
import type { Phase } from './data/phases.ts';
import type { Pool } from './upstream/pool.ts';

/** What a plugin may use while it compiles one route. */
export interface PluginContext {
  readonly route: RouteConfig;
  readonly clock: Clock;
  readonly random: Random;
  /** The generation's pool of that name; the loader has checked that it exists. */
  pool(name: string): Pool;
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
  /** Runs once when the exchange is over, however it ended. Must not throw. */
  onEnd?(exchange: Exchange): void;
}

export interface PluginDefinition<Options = never> {
  /** The key in a route: the folder's name in camel case. */
  readonly name: string;
  readonly phase: Phase;
  /**
   * Cross-checks that the schema cannot say. Runs in `aya check` and at load; returns sentences about what is wrong,
   * each with the path below the plugin's key.
   */
  check?(options: Options, route: RouteConfig, pools: ReadonlySet<string>): readonly ConfigFault[];
  /** Pools that these options name, so that they count as used. */
  pools?(options: Options): readonly string[];
  /** Compiles the options of one route. Runs on every thread, when a generation is built. */
  create(options: Options, context: PluginContext): Concern;
}

export interface ConfigFault {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

export function definePlugin<Options>(definition: PluginDefinition<Options>): PluginDefinition<Options> {
  return definition;
}

export type AnyPlugin = PluginDefinition<unknown>;

const ROOT = new URL('../plugins/', import.meta.url);
const EXTENSION = import.meta.url.endsWith('.ts') ? 'ts' : 'js';

/** The definition of every folder, in the order of their names. */
export function scanPlugins(): Promise<AnyPlugin[]> {
  return scan<AnyPlugin>('index');
}

/** The schema of every folder, in the same order. */
export function scanSchemas(): Promise<TSchema[]> {
  return scan<TSchema>('schema');
}

async function scan<Exported>(file: string): Promise<Exported[]> {
  const entries = await readdir(ROOT, { withFileTypes: true });
  const folders = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  return Promise.all(
    folders.sort().map(async (folder) => {
      const module = (await import(new URL(`${folder}/${file}.${EXTENSION}`, ROOT).href)) as { default: Exported };
      return module.default;
    }),
  );
}
