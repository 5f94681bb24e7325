/** Finds the balancers, one file each, and makes the one that a pool's `balance:` names. `src` imports none by name. */
import { readdir } from 'node:fs/promises';
import type { BalanceConfig } from '../config/schema.ts';
import type { Balancer, BalancerContext, BalancerDefinition, Candidate } from './endpoint.ts';

export type BalancerDefinitions = ReadonlyMap<string, BalancerDefinition>;

/** The one that only `balance: { hash: … }` chooses. */
const HASH = 'hash';

/** Imports every balancer below `root`, in the order of their names. */
export async function scanBalancers(root: URL = new URL('balancers/', import.meta.url)): Promise<BalancerDefinitions> {
  const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
  const names = (await readdir(root))
    .filter((file) => file.endsWith(extension) && !file.includes('.test.') && !file.includes('.d.'))
    .map((file) => file.slice(0, -extension.length));
  const definitions = await Promise.all(names.sort().map((name) => importBalancer(root, name, extension)));
  return new Map(definitions.map((definition) => [definition.name, definition]));
}

async function importBalancer(root: URL, name: string, extension: string): Promise<BalancerDefinition> {
  const module = (await import(new URL(name + extension, root).href)) as { default: BalancerDefinition };
  if (module.default.name !== name) throw new Error(`balancer '${module.default.name}' is in a file named '${name}'`);
  return module.default;
}

/** The words that may follow `balance:`. */
export function balancerNames(definitions: BalancerDefinitions): readonly string[] {
  return [...definitions.keys()].filter((name) => name !== HASH);
}

export function createBalancer<Endpoint extends Candidate>(
  definitions: BalancerDefinitions,
  config: BalanceConfig,
  context: Omit<BalancerContext, 'hash'>,
): Balancer<Endpoint> {
  const name = balancerName(config);
  const definition = definitions.get(name);
  if (definition === undefined) throw new Error(`balance: no balancer is named '${name}'`);
  const isHash = typeof config === 'object' && 'hash' in config;
  return definition.create<Endpoint>(isHash ? { ...context, hash: config.hash } : context);
}

/** `{ hash: … }` and `{ adaptive: … }` name it by their key. */
function balancerName(config: BalanceConfig): string {
  return typeof config === 'string' ? config : Object.keys(config)[0]!;
}

/** As people read it: `hash of header:x-user`. */
export function describeBalance(config: BalanceConfig): string {
  return typeof config === 'object' && 'hash' in config ? `hash of ${config.hash}` : balancerName(config);
}
