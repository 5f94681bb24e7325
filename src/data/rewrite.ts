/**
 * Another path or host for a request: the parts that rewrite, redirect and the branches of a split share. Semantics of
 * replacing a prefix are those of the Kubernetes Gateway API (ReplacePrefixMatch). What comes out is checked again: a
 * rewrite that makes `..` or `//` would leave the path under whose policy the request came.
 */
import type { RE2JS } from 're2js';
import type { RewriteConfig } from '../config/rewrite-schema.ts';
import type { RouteConfig } from '../config/schema.ts';
import { GatewayError } from '../errors.ts';
import type { ConfigFault } from '../extension.ts';
import { parseAuthority } from './match/authority.ts';
import { compileRegex } from './match/regex.ts';
import { isNormalPath } from './match/target.ts';

/** The path of a request and what the route's path stood for in it. */
export interface MatchedPath {
  readonly path: string;
  readonly matchedPrefix: string;
}

type PathRewrite = (matched: MatchedPath) => string;

interface RewrittenRequest {
  target: string;
  readonly fields: string[];
}

/** Rewrites `request` from what the client asked for. Gives the error to answer with when the outcome is no safe path. */
export type Rewrite = (source: MatchedPath, request: RewrittenRequest) => GatewayError | undefined;

export function compileRewrite(config: RewriteConfig): Rewrite {
  const rewritePath = compilePathRewrite(config);
  const { host } = config;
  return (source, request) => {
    if (host !== undefined) replaceHost(request.fields, host);
    if (rewritePath === undefined) return undefined;
    const path = rewritePath(source);
    if (!isNormalPath(path)) return unsafeRewriteError();
    // Of the request as it goes on, not as it came: a credential may have been taken out of it.
    const { target } = request;
    const mark = target.indexOf('?');
    request.target = mark === -1 ? path : path + target.slice(mark);
    return undefined;
  };
}

export function unsafeRewriteError(): GatewayError {
  return new GatewayError('http_request_error', 'rewrite refused: the new path is not in normal form', {
    detail: 'The path cannot be rewritten safely.',
  });
}

function replaceHost(fields: string[], host: string): void {
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at] as string;
    if (name.length !== 4 || name.toLowerCase() !== 'host') continue;
    fields[at + 1] = host;
    return;
  }
  fields.unshift('host', host);
}

function compilePathRewrite(config: RewriteConfig): PathRewrite | undefined {
  const { prefix, path, stripPrefix, addPrefix, regex, to } = config;
  if (path !== undefined) return () => path || '/';
  if (prefix !== undefined) return (matched) => replacePrefix(matched, prefix);
  if (regex !== undefined && to !== undefined) return compileRegexRewrite(compileRegex(regex), to);
  if (stripPrefix === undefined && addPrefix === undefined) return undefined;
  return (matched) => {
    const stripped = stripPrefix === undefined ? matched.path : strip(matched, stripPrefix);
    return addPrefix === undefined ? stripped : replacePrefix({ path: stripped, matchedPrefix: '' }, addPrefix);
  };
}

/** `/foo/bar`, of which `/foo` was matched, to `/xyz/bar`; the final slash of either neither doubles nor gets lost. */
export function replacePrefix({ path, matchedPrefix }: MatchedPath, replacement: string): string {
  const start = replacement.endsWith('/') ? replacement.slice(0, -1) : replacement;
  return start + path.slice(matchedPrefix.length) || '/';
}

function strip(matched: MatchedPath, prefix: string | true): string {
  if (prefix === true) return replacePrefix(matched, '');
  const matchedPrefix = prefix.endsWith('/') ? prefix.slice(0, -1) : prefix;
  const { path } = matched;
  const begins =
    path.startsWith(matchedPrefix) && (path.length === matchedPrefix.length || path[matchedPrefix.length] === '/');
  return begins ? replacePrefix({ path, matchedPrefix }, '') : path;
}

/** Captures are pasted as they are: what was escaped stays so, and `$` or `&` in them mean nothing. */
function compileRegexRewrite(regex: RE2JS, to: string): PathRewrite {
  const template = parseTemplate(to);
  return ({ path }) => {
    const matcher = regex.matcher(path);
    let rewritten = '';
    let end = 0;
    while (matcher.find()) {
      rewritten += path.slice(end, matcher.start());
      for (const part of template) rewritten += typeof part === 'string' ? part : (matcher.group(part) ?? '');
      end = matcher.end();
    }
    return rewritten + path.slice(end);
  };
}

/** Text, and the numbers of groups. */
function parseTemplate(to: string): readonly (string | number)[] {
  const parts: (string | number)[] = [];
  let end = 0;
  for (const reference of to.matchAll(/\$\$|\\\\|[$\\](\d+)|\$\{(\d+)\}/g)) {
    const [written, bare, braced] = reference;
    if (reference.index > end) parts.push(to.slice(end, reference.index));
    const group = bare ?? braced;
    parts.push(group === undefined ? written.charAt(0) : Number(group));
    end = reference.index + written.length;
  }
  if (end < to.length) parts.push(to.slice(end));
  return parts;
}

/** What the schema cannot say. */
export function checkRewrite(config: RewriteConfig, route: Pick<RouteConfig, 'match'>): readonly ConfigFault[] {
  const faults: ConfigFault[] = [];
  const fault = (key: keyof RewriteConfig, message: string): number => faults.push({ path: [key], message });

  const ways = [
    config.prefix !== undefined && 'prefix',
    config.path !== undefined && 'path',
    (config.stripPrefix !== undefined || config.addPrefix !== undefined) && 'stripPrefix or addPrefix',
    (config.regex !== undefined || config.to !== undefined) && 'regex',
  ].filter((way) => way !== false);
  if (ways.length > 1) faults.push({ path: [], message: `${ways.join(' and ')} exclude each other` });

  for (const key of ['prefix', 'path', 'addPrefix', 'stripPrefix'] as const) {
    const path = config[key];
    if (typeof path === 'string' && path !== '' && !isNormalPath(path)) {
      fault(key, `'${path}' is not a path in normal form: no .., no //, other characters as %XX in capitals`);
    }
  }
  for (const key of ['prefix', 'stripPrefix'] as const) {
    const needsPrefix = key === 'prefix' ? config.prefix !== undefined : config.stripPrefix === true;
    if (needsPrefix && !matchesPrefixesOnly(route)) fault(key, 'needs a match on a prefix: path: /x/*');
  }
  checkRegex(config, fault);
  if (config.host !== undefined && parseAuthority(config.host) === undefined) {
    fault('host', `'${config.host}' is not host or host:port`);
  }
  return faults;
}

/** Replacing "what the prefix stood for" has no meaning for an exact path or a regex. A match without a path is `/*`. */
export function matchesPrefixesOnly(route: Pick<RouteConfig, 'match'>): boolean {
  return route.match.every(({ path }) => path === undefined || (typeof path === 'string' && path.endsWith('/*')));
}

function checkRegex({ regex, to }: RewriteConfig, fault: (key: keyof RewriteConfig, message: string) => void): void {
  if (regex === undefined) {
    if (to !== undefined) fault('to', 'needs regex: what to replace');
    return;
  }
  if (to === undefined) return fault('regex', 'needs to: what to write instead');
  try {
    const groups = compileRegex(regex).groupCount();
    const missing = parseTemplate(to).find((part) => typeof part === 'number' && part > groups);
    if (missing !== undefined) fault('to', `names group ${missing}; the regex has ${groups}`);
  } catch (error) {
    fault('regex', error instanceof Error ? error.message : String(error));
  }
}
