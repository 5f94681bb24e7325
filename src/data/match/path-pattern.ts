/**
 * The paths of a match: `/x` is `/x` alone, without and not with a final slash; `/x/*` is `/x` and all below it, in
 * whole segments; `{ regex }` must match the whole path. Patterns are read by the same rule as requests (target.ts), so
 * `/café` and `/caf%C3%A9` are one.
 */
import type { RE2JS } from 're2js';
import type { MatchConfig } from '../../config/schema.ts';
import { GatewayError } from '../../errors.ts';
import { compileRegex, literalPrefix } from './regex.ts';
import { routePathOf } from './target.ts';

export type PathPattern =
  | { readonly kind: 'exact'; readonly text: string; readonly path: string }
  /** `prefix` has no final slash; empty: every path. */
  | { readonly kind: 'prefix'; readonly text: string; readonly prefix: string }
  | { readonly kind: 'regex'; readonly text: string; readonly regex: RE2JS; readonly literal: string };

/** @throws Error with a sentence about what is wrong. */
export function compilePath(config: MatchConfig['path']): PathPattern {
  if (config === undefined) return { kind: 'prefix', text: '/*', prefix: '' };
  if (typeof config === 'object') {
    return {
      kind: 'regex',
      text: config.regex,
      regex: compileRegex(config.regex),
      literal: literalPrefix(config.regex),
    };
  }
  const isPrefix = config.endsWith('/*');
  const path = routePath(isPrefix ? config.slice(0, -1) : config, config);
  return isPrefix ? { kind: 'prefix', text: config, prefix: path.slice(0, -1) } : { kind: 'exact', text: config, path };
}

function routePath(path: string, text: string): string {
  if (/[?#]/.test(path)) throw new Error(`path '${text}': a path has no query and no fragment`);
  if (/;|%3b/i.test(path)) throw new Error(`path '${text}': parameters (;) are no part of what is matched`);
  if (path.includes('*')) {
    throw new Error(`path '${text}': * stands for the rest of a path as its last segment only; a literal one is %2A`);
  }
  try {
    return routePathOf(path);
  } catch (cause) {
    throw new Error(`path '${text}': ${(cause instanceof GatewayError && cause.detail) || 'it cannot be matched'}`, {
      cause,
    });
  }
}

/** @param path a `routePath`. */
export function pathMatches(pattern: PathPattern, path: string): boolean {
  switch (pattern.kind) {
    case 'exact':
      return path === pattern.path;
    case 'prefix':
      return isBelow(path, pattern.prefix);
    case 'regex':
      return path.startsWith(pattern.literal) && pattern.regex.matches(path);
  }
}

/**
 * The part of a path, as it is sent, that the pattern stands for: `/x` for `/x/*`, nothing for `/*`, all for an exact
 * path or a regex. `/x;v=1/y` has `/x;v=1`.
 */
export function matchedPrefix(pattern: PathPattern, path: string): string {
  if (pattern.kind !== 'prefix') return path;
  const { prefix } = pattern;
  return isBelow(path, prefix) ? prefix : firstSegments(path, prefix.split('/').length - 1);
}

function isBelow(path: string, prefix: string): boolean {
  if (!path.startsWith(prefix)) return false;
  return path.length === prefix.length || path.charCodeAt(prefix.length) === 0x2f;
}

function firstSegments(path: string, count: number): string {
  return path.split('/', count + 1).join('/');
}
