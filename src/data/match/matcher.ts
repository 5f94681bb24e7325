/**
 * Which route takes a request. Pure: the data plane, `aya explain` and the tests ask the same function.
 *
 * Precedence is the Kubernetes Gateway API's: a scheme given, as a route there is bound to a listener; exact host, then longer wildcard, then any host; exact path, then longest
 * prefix, then regex, then every path; a method given; more header conditions; more query conditions; more cookie and
 * client conditions; the order of files and lines. The structure is that order: a host leads to its paths, a path to a
 * list that is tried from its top. What does not match falls through, also to a less specific host: that is intended.
 *
 * The cost of a match depends on the length of the path and on the alternatives that share its host and path, not on
 * the number of routes.
 */
import type { MatchConfig } from '../../config/schema.ts';
import { compileConditions, describeFailure, holds, type Condition } from './conditions.ts';
import { expandGrpc } from './grpc.ts';
import { compileHosts, hostMatches, type HostPattern } from './host-pattern.ts';
import { compilePath, pathMatches, type PathPattern } from './path-pattern.ts';
import { HostTable } from './host-table.ts';
import type { MatchRequest, Scheme } from './request-view.ts';

/** One rule and its alternatives; none means that everything matches. The order of entries is the last word in precedence. */
export interface MatchEntry<Rule> {
  readonly rule: Rule;
  readonly match: readonly MatchConfig[];
}

/** One alternative of a rule, on one host, compiled. It is what a match gives back, so that matching allocates nothing. */
export interface Match<Rule> {
  readonly rule: Rule;
  readonly scheme: Scheme | undefined;
  readonly host: HostPattern;
  readonly path: PathPattern;
  readonly methods: ReadonlySet<string> | undefined;
  readonly conditions: readonly Condition[];
  /** Its place in `order()`. */
  readonly rank: number;
}

export interface Explanation<Rule> {
  readonly match: Match<Rule>;
  /** `outranked`: it would take the request, had a more specific one not taken it. */
  readonly verdict: 'chosen' | 'outranked' | 'refused';
  /** The first thing that did not fit. */
  readonly part: 'scheme' | 'host' | 'path' | 'method' | 'condition' | undefined;
  readonly reason: string;
}

export interface Matcher<Rule> {
  match(request: MatchRequest): Match<Rule> | undefined;
  /** What became of each alternative, in the order of precedence. */
  explain(request: MatchRequest): Explanation<Rule>[];
  /** All alternatives, the most specific first. */
  order(): readonly Match<Rule>[];
}

/** @throws Error with a sentence when a pattern is wrong; `checkMatch` says where. */
export function compileMatcher<Rule>(entries: readonly MatchEntry<Rule>[]): Matcher<Rule> {
  const matches = entries.flatMap(compileEntry).sort(bySpecificity);
  matches.forEach((match, rank) => (match.rank = rank));

  const general = new HostTable(matches.filter(({ scheme }) => scheme === undefined));
  const ofScheme = (wanted: Scheme) => {
    const own = matches.filter(({ scheme }) => scheme === wanted);
    return own.length === 0 ? undefined : new HostTable(own);
  };
  const own = { http: ofScheme('http'), https: ofScheme('https') };

  return {
    match: (request) => own[request.scheme]?.find(request) ?? general.find(request),
    explain(request) {
      let taken: Match<Rule> | undefined;
      return matches.map((match) => {
        const refused = refuse(match, request);
        if (refused !== undefined) return { match, verdict: 'refused', ...refused };
        if (taken !== undefined) {
          return { match, verdict: 'outranked', part: undefined, reason: `${compareRanks(taken, match)} comes first` };
        }
        taken = match;
        return { match, verdict: 'chosen', part: undefined, reason: 'the most specific that matches' };
      });
    },
    order: () => matches,
  };
}

function compileEntry<Rule>(entry: MatchEntry<Rule>): (Match<Rule> & { rank: number })[] {
  const alternatives = entry.match.length === 0 ? [{}] : entry.match;
  return alternatives.map(expandGrpc).flatMap((config: MatchConfig) => {
    const path = compilePath(config.path);
    const conditions = compileConditions(config);
    const methods = config.methods === undefined ? undefined : new Set(config.methods);
    const { scheme } = config;
    return compileHosts(config.host).map((host) => ({
      rule: entry.rule,
      scheme,
      host,
      path,
      methods,
      conditions,
      rank: 0,
    }));
  });
}

/** The criteria of precedence, the weightiest first: each a name and a number, of which the greater wins. */
const CRITERIA: readonly (readonly [name: string, weight: (match: Match<unknown>) => number])[] = [
  ['a match on the scheme', (match) => (match.scheme === undefined ? 0 : 1)],
  ['a more specific host', (match) => hostWeight(match.host)],
  ['a more specific path', (match) => pathWeight(match.path)],
  ['a match on the method', (match) => (match.methods === undefined ? 0 : 1)],
  ['a match on more headers', (match) => count(match, 'header') + count(match, 'grpc')],
  ['a match on more query parameters', (match) => count(match, 'query')],
  ['a match on more cookies or the client', (match) => count(match, 'cookie') + count(match, 'client')],
];

/** Sorting is stable: what is equal here stays in the order of files and lines. */
function bySpecificity(one: Match<unknown>, other: Match<unknown>): number {
  for (const [, weight] of CRITERIA) {
    const difference = weight(other) - weight(one);
    if (difference !== 0) return difference;
  }
  return 0;
}

function compareRanks(winner: Match<unknown>, loser: Match<unknown>): string {
  const criterion = CRITERIA.find(([, weight]) => weight(winner) !== weight(loser));
  return criterion?.[0] ?? 'the earlier of two equal matches';
}

const EXACT = 1e6;

function hostWeight(host: HostPattern): number {
  return host.kind === 'exact' ? EXACT : host.kind === 'wildcard' ? host.suffix.length : 0;
}

/** A regex comes after all prefixes except `/*`, which says nothing about the path. */
function pathWeight(path: PathPattern): number {
  if (path.kind === 'exact') return EXACT;
  if (path.kind === 'regex') return 1;
  return path.prefix === '' ? 0 : 1 + path.prefix.length;
}

function count(match: Match<unknown>, source: Condition['source']): number {
  let counted = 0;
  for (const condition of match.conditions) if (condition.source === source) counted++;
  return counted;
}

function refuse(
  { scheme, host, path, methods, conditions }: Match<unknown>,
  request: MatchRequest,
): Pick<Explanation<unknown>, 'part' | 'reason'> | undefined {
  if (!hostMatches(host, request.host)) return { part: 'host', reason: `host ${request.host} is not ${host.text}` };
  if (!pathMatches(path, request.path)) return { part: 'path', reason: `path ${request.path} is not ${path.text}` };
  if (scheme !== undefined && scheme !== request.scheme) {
    return { part: 'scheme', reason: `scheme ${request.scheme} is not ${scheme}` };
  }
  if (methods !== undefined && !methods.has(request.method)) {
    return { part: 'method', reason: `method ${request.method} is not ${[...methods].join(' or ')}` };
  }
  const failed = conditions.find((condition) => !holds(condition, request));
  return failed === undefined ? undefined : { part: 'condition', reason: describeFailure(failed, request) };
}
