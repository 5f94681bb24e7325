/**
 * The alternatives of one host, arranged so that a path leads to those that may take it, the most specific first: a map
 * of exact paths, a trie of whole-segment prefixes, the regexes, and what takes every path. They must be added in the
 * order of precedence.
 */
import { holds } from './conditions.ts';
import type { Match } from './matcher.ts';
import type { PathPattern } from './path-pattern.ts';
import type { MatchRequest } from './request-view.ts';

interface PrefixNode<Rule> {
  children: Map<string, PrefixNode<Rule>> | undefined;
  matches: Match<Rule>[] | undefined;
}

export class PathTable<Rule> {
  readonly #exact = new Map<string, Match<Rule>[]>();
  readonly #prefixes: PrefixNode<Rule> = { children: undefined, matches: undefined };
  /** By the first segment, where it is literal; the others below the empty key. */
  readonly #regexes = new Map<string, Match<Rule>[]>();

  add(match: Match<Rule>): void {
    const { path } = match;
    if (path.kind === 'exact') listOf(this.#exact, path.path).push(match);
    else if (path.kind === 'regex') listOf(this.#regexes, literalSegment(path.literal)).push(match);
    else (this.#nodeOf(path.prefix).matches ??= []).push(match);
  }

  find(request: MatchRequest): Match<Rule> | undefined {
    const { path } = request;
    if (this.#exact.size > 0) {
      const found = firstOf(this.#exact.get(path), request);
      if (found !== undefined) return found;
    }
    if (this.#prefixes.children !== undefined) {
      const found = findBelow(this.#prefixes.children, request, 1);
      if (found !== undefined) return found;
    }
    if (this.#regexes.size > 0) {
      const found = this.#findRegex(request);
      if (found !== undefined) return found;
    }
    return firstOf(this.#prefixes.matches, request);
  }

  #nodeOf(prefix: string): PrefixNode<Rule> {
    let node = this.#prefixes;
    if (prefix === '') return node;
    for (const segment of prefix.slice(1).split('/')) {
      node.children ??= new Map();
      let child = node.children.get(segment);
      if (child === undefined) node.children.set(segment, (child = { children: undefined, matches: undefined }));
      node = child;
    }
    return node;
  }

  /** Two lists, each in the order of precedence, tried as one. */
  #findRegex(request: MatchRequest): Match<Rule> | undefined {
    const near = this.#regexes.get(firstSegment(request.path)) ?? [];
    const rest = this.#regexes.get('') ?? [];
    let atNear = 0;
    let atRest = 0;
    while (atNear < near.length || atRest < rest.length) {
      const one = near[atNear];
      const other = rest[atRest];
      const takesNear = other === undefined || (one !== undefined && one.rank < other.rank);
      const match = (takesNear ? one : other) as Match<Rule>;
      if (takesNear) atNear++;
      else atRest++;
      if (regexMatches(match.path, request.path) && accepts(match, request)) return match;
    }
    return undefined;
  }
}

/** The longest prefix is the deepest node, so children come before their parent. @param start of the segment to look up. */
function findBelow<Rule>(
  children: Map<string, PrefixNode<Rule>>,
  request: MatchRequest,
  start: number,
): Match<Rule> | undefined {
  const { path } = request;
  if (start > path.length) return undefined;
  const slash = path.indexOf('/', start);
  const end = slash === -1 ? path.length : slash;
  const node = children.get(path.slice(start, end));
  if (node === undefined) return undefined;
  if (node.children !== undefined) {
    const found = findBelow(node.children, request, end + 1);
    if (found !== undefined) return found;
  }
  return firstOf(node.matches, request);
}

function firstOf<Rule>(matches: readonly Match<Rule>[] | undefined, request: MatchRequest): Match<Rule> | undefined {
  if (matches === undefined) return undefined;
  for (const match of matches) if (accepts(match, request)) return match;
  return undefined;
}

function accepts(match: Match<unknown>, request: MatchRequest): boolean {
  if (match.methods !== undefined && !match.methods.has(request.method)) return false;
  const { conditions } = match;
  for (let at = 0; at < conditions.length; at++) {
    if (!holds(conditions[at] as (typeof conditions)[number], request)) return false;
  }
  return true;
}

function regexMatches(path: PathPattern, requested: string): boolean {
  return path.kind === 'regex' && requested.startsWith(path.literal) && path.regex.matches(requested);
}

function listOf<Rule>(lists: Map<string, Match<Rule>[]>, key: string): Match<Rule>[] {
  let list = lists.get(key);
  if (list === undefined) lists.set(key, (list = []));
  return list;
}

/** `orders` of `/orders/`; nothing of `/ord`, which may go on. */
function literalSegment(literal: string): string {
  const end = literal.indexOf('/', 1);
  return end === -1 ? '' : literal.slice(1, end);
}

function firstSegment(path: string): string {
  const end = path.indexOf('/', 1);
  return end === -1 ? path.slice(1) : path.slice(1, end);
}
