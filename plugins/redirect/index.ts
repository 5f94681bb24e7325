/** Answers with a redirect instead of going to an upstream; see README.md. */
import type { RouteConfig } from '../../src/config/schema.ts';
import type { Exchange } from '../../src/data/exchange.ts';
import { parseAuthority } from '../../src/data/match/authority.ts';
import { isNormalPath } from '../../src/data/match/target.ts';
import { matchesPrefixesOnly, replacePrefix } from '../../src/data/rewrite.ts';
import { searchOf } from '../../src/data/withhold.ts';
import { type ConfigFault, definePlugin } from '../../src/extension.ts';
import type { RedirectConfig } from './schema.ts';

type Redirected = Pick<Exchange, 'scheme' | 'host' | 'port' | 'path' | 'matchedPrefix' | 'search'>;

export default definePlugin<RedirectConfig>({
  name: 'redirect',
  phase: 'transform',
  check: checkRedirect,
  create(options) {
    const locate = compileLocation(options);
    return {
      onRequest(exchange, reply) {
        const { scheme, host, port, path, matchedPrefix, upstream } = exchange;
        const location = locate({ scheme, host, port, path, matchedPrefix, search: searchOf(upstream) });
        void reply.code(options.status).header('location', location).header('content-length', '0').send();
      },
    };
  },
});

const PARTS = ['scheme', 'host', 'port', 'path', 'prefix'] as const;
const DEFAULT_PORT = { http: 80, https: 443 } as const;

/**
 * Gateway API, HTTPRequestRedirect: a new scheme without a port means that scheme's own port; 80 and 443 are not
 * written with their schemes. The host is either configured or the request's own, which the listener has checked, and
 * the URL is always whole: no path can turn into another host.
 */
export function compileLocation(options: RedirectConfig): (request: Redirected) => string {
  const { to, path, prefix } = options;
  if (to !== undefined) return () => to;
  const port = options.port ?? (options.scheme === undefined ? undefined : DEFAULT_PORT[options.scheme]);
  return (request) => {
    const scheme = options.scheme ?? request.scheme;
    const newPort = port ?? request.port;
    const newPath =
      path !== undefined ? path || '/' : prefix !== undefined ? replacePrefix(request, prefix) : request.path;
    return (
      `${scheme}://${options.host ?? request.host}` +
      (newPort === DEFAULT_PORT[scheme] ? '' : `:${newPort}`) +
      newPath +
      (request.search === '' ? '' : `?${request.search}`)
    );
  };
}

export function checkRedirect(options: RedirectConfig, route: RouteConfig): readonly ConfigFault[] {
  const faults: ConfigFault[] = [];
  const fault = (path: ConfigFault['path'], message: string): number => faults.push({ path, message });
  const parts = PARTS.filter((part) => options[part] !== undefined);

  if (route.pool !== undefined) fault([], 'a route that redirects has no pool');
  for (const key of ['rewrite', 'split'] as const) if (key in route) fault([], `a route that redirects has no ${key}`);
  if (options.to === undefined && parts.length === 0) fault([], `needs to, or one of ${PARTS.join(', ')}`);
  for (const part of parts) if (options.to !== undefined) fault([part], 'excludes to');
  if (options.path !== undefined && options.prefix !== undefined) fault(['prefix'], 'excludes path');
  if (options.to !== undefined && (!URL.canParse(options.to) || !/^[\x21-\x7e]+$/.test(options.to))) {
    fault(['to'], `'${options.to}' is not a URL; other characters than ASCII are written as %XX`);
  }
  if (options.host !== undefined) {
    const authority = parseAuthority(options.host);
    if (authority === undefined) fault(['host'], `'${options.host}' is not a host`);
    else if (authority.port !== undefined) fault(['host'], 'the port is a key of its own');
  }
  for (const part of ['path', 'prefix'] as const) {
    const path = options[part];
    if (path !== undefined && path !== '' && !isNormalPath(path))
      fault([part], `'${path}' is not a path in normal form`);
  }
  if (options.prefix !== undefined && !matchesPrefixesOnly(route))
    fault(['prefix'], 'needs a match on a prefix: path: /x/*');
  return faults;
}
