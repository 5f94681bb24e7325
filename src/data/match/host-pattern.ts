/** The hosts of a match: a name, `*.example.com` for any name below it (one label or more, never itself), or any host. */
import type { MatchConfig } from '../../config/schema.ts';
import { parseAuthority } from './authority.ts';

export type HostPattern =
  | { readonly kind: 'exact'; readonly text: string; readonly name: string }
  /** `suffix` begins with a dot. */
  | { readonly kind: 'wildcard'; readonly text: string; readonly suffix: string }
  | { readonly kind: 'any'; readonly text: string };

/** @throws Error with a sentence about what is wrong. */
export function compileHosts(config: MatchConfig['host']): readonly HostPattern[] {
  if (config === undefined) return [{ kind: 'any', text: '*' }];
  return typeof config === 'string' ? [compileHost(config)] : config.map(compileHost);
}

export function compileHost(text: string): HostPattern {
  if (text === '*') return { kind: 'any', text };
  const isWildcard = text.startsWith('*.');
  const authority = parseAuthority(isWildcard ? text.slice(2) : text);
  if (authority === undefined) throw new Error(`host '${text}' is neither a host name nor *.name`);
  if (authority.port !== undefined) throw new Error(`host '${text}': a host is matched without its port`);
  return isWildcard
    ? { kind: 'wildcard', text, suffix: `.${authority.host}` }
    : { kind: 'exact', text, name: authority.host };
}

/** @param host as `parseAuthority` gives it. */
export function hostMatches(pattern: HostPattern, host: string): boolean {
  switch (pattern.kind) {
    case 'exact':
      return host === pattern.name;
    case 'wildcard':
      return host.length > pattern.suffix.length && host.endsWith(pattern.suffix);
    case 'any':
      return true;
  }
}
