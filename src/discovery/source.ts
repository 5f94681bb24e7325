/**
 * What a discovery source is, and how the gateway finds them: one file each in sources/, whose name is its key under a
 * pool's `discover:`. A source only tells what it finds; what is kept, how long, and what becomes of it is for whoever
 * follows it (src/control/discovery.ts). Control plane alone: data threads see a pool's endpoints and no source.
 */
import { readdir } from 'node:fs/promises';
import type { TSchema } from 'typebox';
import type { Clock, Random } from '../clock.ts';
import type { DiscoverConfig } from '../config/schema.ts';

/** One instance of a service as a source tells of it. */
export interface Instance {
  /** A name or an address, as it stands in a URL: IPv6 in brackets. */
  readonly host: string;
  /** Absent: as the pool says. */
  readonly port?: number;
  readonly scheme?: 'http' | 'https';
  readonly weight: number;
  readonly backup: boolean;
  /** Absent: 0. */
  readonly priority?: number;
  readonly zone?: string;
}

/** The whole set, also when it is as before; or why there is none now. */
export type Answer = readonly Instance[] | Error;

export interface DiscoverySource {
  /** Never throws; ends when `signal` aborts, and lets go of all that it holds. */
  watch(signal: AbortSignal): AsyncIterable<Answer>;
}

export interface SourceContext {
  /** The configuration's directory. */
  readonly dir: string;
  readonly clock: Clock;
  readonly random: Random;
}

export interface SourceFault {
  /** The setting that is wrong. */
  readonly key: string;
  readonly message: string;
}

export interface SourceDefinition<Settings = never> {
  /** The file's name; the setting of this name says what to look for. */
  readonly name: string;
  /** What finds endpoints, for the reference. */
  readonly about: string;
  /** How its settings are written. */
  readonly settings: Readonly<Record<string, TSchema>>;
  /** What the schema cannot say. Asks nobody: a source that is away is no mistake of the configuration. */
  check?(settings: Settings, dir: string): readonly SourceFault[];
  create(settings: Settings, context: SourceContext): DiscoverySource;
}

export type AnySource = SourceDefinition<DiscoverConfig>;
export type SourceDefinitions = ReadonlyMap<string, AnySource>;

export function defineSource<Settings>(definition: SourceDefinition<Settings>): SourceDefinition<Settings> {
  return definition;
}

/** Imports every source below `root`, in the order of their names. */
export async function scanSources(root: URL = new URL('sources/', import.meta.url)): Promise<SourceDefinitions> {
  const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
  const names = (await readdir(root))
    .filter((file) => file.endsWith(extension) && !file.includes('.test.') && !file.includes('.d.'))
    .map((file) => file.slice(0, -extension.length));
  const definitions = await Promise.all(names.sort().map((name) => importSource(root, name, extension)));
  return new Map(definitions.map((definition) => [definition.name, definition]));
}

async function importSource(root: URL, name: string, extension: string): Promise<AnySource> {
  const module = (await import(new URL(name + extension, root).href)) as { default: AnySource };
  if (module.default.name !== name) throw new Error(`source '${module.default.name}' is in a file named '${name}'`);
  return module.default;
}

/** `dns orders.internal`: which source a pool has, and what it is asked for. */
export function describeSource(discover: DiscoverConfig): string {
  const { kind } = discover;
  // What follows `?` may be nobody's business.
  return `${kind} ${String(discover[kind]).split('?')[0]}`;
}
