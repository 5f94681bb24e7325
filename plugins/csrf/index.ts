/** Refuses what another site had a browser send with its user's credentials; see README.md. */
import type { RouteConfig } from '../../src/config/schema.ts';
import type { Exchange } from '../../src/data/exchange.ts';
import { compileOrigins, originFault, parseOrigin, type Origins } from '../../src/data/match/origins.ts';
import { GatewayError } from '../../src/errors.ts';
import { definePlugin } from '../../src/extension.ts';
import type { CsrfConfig } from './schema.ts';

type Asking = Pick<Exchange, 'method' | 'host' | 'authority' | 'header'>;

export default definePlugin<CsrfConfig | false>({
  name: 'csrf',
  phase: 'authorize',
  check(options) {
    if (options === false) return [];
    return options.allowOrigins.flatMap((origin, index) => {
      const message = origin === 'null' ? 'any site can send the origin null' : originFault(origin);
      return message === undefined ? [] : [{ path: ['allowOrigins', index], message }];
    });
  },
  create(options, { route }) {
    if (options === false) return {};
    const allowed = compileOrigins(options.allowOrigins);
    const ambientOnly = !options.always && hasAuth(route);
    return {
      onRequest(exchange, _reply, done) {
        if (ambientOnly && exchange.principal?.ambient !== true) return done();
        const reason = crossSiteReason(exchange, allowed);
        if (reason === undefined) return done();
        const detail = 'This request was sent by a page of another site.';
        done(new GatewayError('http_request_denied', `refused by csrf: ${reason}`, { detail }));
      },
    };
  },
});

/**
 * Decides as Go's net/http CrossOriginProtection: what browsers say in Sec-Fetch-Site settles it; older ones, and those
 * that speak without TLS, send Origin with all that is unsafe. Without either no browser of today sent it, and so no page.
 * Beyond Go: Referer stands in for Origin, and the upgrade to a WebSocket, a GET that nothing else guards, is unsafe.
 * @returns undefined when it may pass.
 */
export function crossSiteReason(exchange: Asking, allowed: Origins): string | undefined {
  if (isSafe(exchange)) return undefined;
  const site = exchange.header('sec-fetch-site');
  if (site === 'same-origin' || site === 'none') return undefined;
  const origin = exchange.header('origin') ?? originOf(exchange.header('referer'));
  if (origin !== undefined && allowed.contains(origin)) return undefined;
  if (site !== undefined) return `Sec-Fetch-Site is ${site}`;
  if (origin === undefined || isOwn(origin, exchange)) return undefined;
  return `origin ${origin} is not ${exchange.authority}`;
}

const SAFE = new Set(['GET', 'HEAD', 'OPTIONS']);

function isSafe(exchange: Asking): boolean {
  return SAFE.has(exchange.method) && exchange.header('upgrade') === undefined;
}

/** `https://a.test` of `https://a.test/x?y`; what is no such URL stays as it is, and matches nothing. */
function originOf(referer: string | undefined): string | undefined {
  return referer === undefined ? undefined : (/^[^/]+:\/\/[^/?#]+/.exec(referer)?.[0] ?? referer);
}

/** The scheme does not count: it is not known here when a proxy before us speaks TLS. */
function isOwn(written: string, { host, authority }: Asking): boolean {
  const origin = parseOrigin(written);
  if (origin?.host !== host) return false;
  const own = parseOrigin(`${origin.scheme}://${authority}`);
  return own?.port === origin.port;
}

/** Known by its key alone: no plugin imports another. */
function hasAuth(route: RouteConfig): boolean {
  const { auth } = route as { auth?: unknown };
  return auth !== undefined && auth !== false;
}
