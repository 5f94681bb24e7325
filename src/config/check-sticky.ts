/** What a schema cannot say about stickiness. */
import type { Document } from './document.ts';
import type { Placed } from './interpret.ts';
import type { Problem } from './problem.ts';
import type { CookieStickyConfig, GatewayConfig, PoolConfig } from './schema.ts';

/** A session is dated in whole seconds. */
const SHORTEST_MS = 1000;

export function checkSticky(pool: PoolConfig, document: Document, poolAt: string): Problem[] {
  const { sticky } = pool;
  if (sticky === undefined) return [];
  const at = `${poolAt}/sticky`;
  const problems: Problem[] = [];
  if (isHash(pool)) {
    const message = `'sticky' beside a balance by hash: both would say where a client goes`;
    const hint = `leave out one of them; a hash needs no memory and moves some clients with each change of the pool`;
    problems.push(document.error(document.keyAt(at), message, hint));
  }
  const { ttl, maxAge } = sticky;
  for (const [key, ms] of Object.entries({ ttl, maxAge })) {
    if (ms !== undefined && ms < SHORTEST_MS)
      problems.push(document.error(document.valueAt(`${at}/${key}`), 'expected at least 1s'));
  }
  if (maxAge !== undefined && ttl !== undefined && maxAge < ttl && document.has(`${at}/ttl`)) {
    const message = `'maxAge' is shorter than 'ttl': every session ends before it can be idle for so long`;
    problems.push(document.error(document.valueAt(`${at}/maxAge`), message, 'raise maxAge, or lower ttl'));
  }
  return 'cookie' in sticky ? [...problems, ...checkCookie(sticky, document, at)] : problems;
}

const isHash = ({ balance }: PoolConfig) =>
  typeof balance === 'string' ? balance.endsWith('-hash') : 'hash' in balance;

/** What browsers refuse to keep (RFC 6265bis §5.6, §4.1.3), and what nobody would. */
function checkCookie(sticky: CookieStickyConfig, document: Document, at: string): Problem[] {
  const problems: Problem[] = [];
  const error = (key: string, message: string, hint: string) =>
    problems.push(document.error(document.keyAt(`${at}/${key}`), message, hint));
  const { cookie, secure, sameSite, path, domain, lifetime, ttl, maxAge } = sticky;
  if (sameSite === 'none' && secure === 'never')
    error('sameSite', `browsers drop cookies with 'sameSite: none' that are not secure`, 'set secure: always');
  if (/^__(secure|host)-/i.test(cookie) && secure !== 'always')
    error('cookie', `browsers drop '${cookie}' where it is not secure`, 'set secure: always, or another name');
  if (/^__host-/i.test(cookie) && (path !== '/' || domain !== undefined))
    error('cookie', `browsers drop '${cookie}' with a path or a domain`, 'leave those out, or take another name');
  if (lifetime === 'permanent' && ttl === undefined && maxAge === undefined)
    error('lifetime', `'lifetime: permanent' without an end`, 'set ttl or maxAge');
  return problems;
}

/** Across files: who signs, and whose cookie is whose. */
export function crossCheckSticky(pools: readonly Placed<PoolConfig>[], gateway: GatewayConfig): Problem[] {
  const first = new Map<string, PoolConfig>();
  return pools.flatMap(({ config, document, at }) => {
    const { sticky, name } = config;
    if (sticky === undefined || !('cookie' in sticky)) return [];
    const problems: Problem[] = [];
    const place = document.keyAt(`${at}/sticky/cookie`);
    const where = `${sticky.cookie} ${sticky.path} ${sticky.domain}`;
    const other = first.get(where);
    if (other === undefined) first.set(where, config);
    else {
      const message = `pools '${other.name}' and '${name}' both set the cookie '${sticky.cookie}': a client that uses both sticks to neither`;
      problems.push(document.warning(place, message, 'give each its own name, or path'));
    }
    if (gateway.secret === undefined && sticky.secrets === undefined) {
      const message = `pool '${name}': nobody but this process, until it ends, will believe the cookies that it signs`;
      problems.push(document.warning(place, message, 'set secret: ${…} in gateway.yaml, the same in all gateways'));
    }
    return problems;
  });
}
