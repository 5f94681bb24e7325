/** `aya purge URL…`: has the running gateway forget stored answers. */
import { adminOf, type AdminOptions } from './admin-client.ts';
import { loadConfig } from './configuration.ts';
import { counted, EXIT, type Outcome } from './outcome.ts';

export interface PurgeOptions extends AdminOptions {
  readonly dir: string;
  readonly prefix: readonly string[];
  readonly tag: readonly string[];
}

export async function purge(urls: readonly string[], { dir, prefix, tag, ...admin }: PurgeOptions): Promise<Outcome> {
  const client = adminOf(admin, await loadConfig(dir));
  const wanted = [...pairs('url', urls), ...pairs('prefix', prefix), ...pairs('tag', tag)];
  if (wanted.length === 0) return { err: 'aya: say what to purge: URLs, --prefix or --tag', exitCode: EXIT.usage };
  const query = new URLSearchParams(wanted).toString();
  const { purged, fleet } = await client.post<{ purged: number; fleet?: keyof typeof FLEET }>(`/cache/purge?${query}`);
  const others = fleet === undefined ? '' : FLEET[fleet];
  return { out: `purged ${counted(purged, 'stored answer')}${others}`, exitCode: EXIT.done };
}

const FLEET = {
  told: '; the other gateways have been told',
  waiting: '; the store is away: the other gateways are told when it is back',
};

const pairs = (name: string, values: readonly string[]) => values.map((value): [string, string] => [name, value]);
