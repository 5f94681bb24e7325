/** `aya routes`: the order in which routes are tried. A route with several hosts or matches has a row for each. */
import type { Config } from '../config/schema.ts';
import { compileMatcher } from '../data/match/matcher.ts';
import { loadConfig } from './configuration.ts';
import {
  describeAction,
  describeConditions,
  describeMethods,
  describePath,
  destinationsOf,
  matchData,
  type RouteMatch,
} from './describe.ts';
import { EXIT, json, type Outcome } from './outcome.ts';
import { bold, columns, dim } from './style.ts';

export async function routes(dir: string, options: { readonly json?: boolean } = {}): Promise<Outcome> {
  const config = await loadConfig(dir);
  const matches = matcherOf(config).order();
  if (options.json === true) return { out: json(matches.map(rowData)), exitCode: EXIT.done };
  if (matches.length === 0) return { err: 'no routes', exitCode: EXIT.done };
  return { out: columns([HEAD.map(bold), ...matches.map(row)]), exitCode: EXIT.done };
}

/** As each data thread compiles it. */
export function matcherOf({ routes }: Config) {
  return compileMatcher(routes.map((route) => ({ rule: route, match: route.match })));
}

const HEAD = ['#', 'HOST', 'PATH', 'METHODS', 'CONDITIONS', 'ROUTE', 'GOES TO', 'WRITTEN AT'];

function row(match: RouteMatch): string[] {
  const { rank, host, rule } = match;
  const what = [host.text, describePath(match), describeMethods(match), describeConditions(match)];
  return [String(rank + 1), ...what, rule.name, describeAction(rule), dim(rule.source)];
}

function rowData(match: RouteMatch) {
  const { redirect } = match.rule;
  return { ...matchData(match), ...(redirect === undefined ? { pools: destinationsOf(match.rule) } : { redirect }) };
}
