/** Where a host leads: its own paths, else those of the longest wildcard above it, else those of any host. */
import type { Match } from './matcher.ts';
import { PathTable } from './path-table.ts';
import type { MatchRequest } from './request-view.ts';

export class HostTable<Rule> {
  readonly #exact = new Map<string, PathTable<Rule>>();
  readonly #wildcards = new Map<string, PathTable<Rule>>();
  readonly #any = new PathTable<Rule>();

  /** @param matches in the order of precedence. */
  constructor(matches: readonly Match<Rule>[]) {
    for (const match of matches) {
      if (match.host.kind === 'exact') tableOf(this.#exact, match.host.name).add(match);
      else if (match.host.kind === 'wildcard') tableOf(this.#wildcards, match.host.suffix).add(match);
      else this.#any.add(match);
    }
  }

  find(request: MatchRequest): Match<Rule> | undefined {
    const { host } = request;
    const found = this.#exact.get(host)?.find(request);
    if (found !== undefined) return found;
    if (this.#wildcards.size > 0) {
      for (let dot = host.indexOf('.'); dot !== -1; dot = host.indexOf('.', dot + 1)) {
        const below = this.#wildcards.get(host.slice(dot))?.find(request);
        if (below !== undefined) return below;
      }
    }
    return this.#any.find(request);
  }
}

function tableOf<Rule>(tables: Map<string, PathTable<Rule>>, key: string): PathTable<Rule> {
  let table = tables.get(key);
  if (table === undefined) tables.set(key, (table = new PathTable()));
  return table;
}
