/** What a schema cannot say about the options: places that are not ours, and secrets that are none. */
import type { MatchConfig, RouteConfig } from '../../../src/config/schema.ts';
import { compilePath, pathMatches } from '../../../src/data/match/path-pattern.ts';
import { isNormalPath } from '../../../src/data/match/target.ts';
import type { ConfigFault } from '../../../src/extension.ts';
import { returnPath } from './return-path.ts';
import type { OidcOptions } from './schema.ts';

type Path = readonly (string | number)[];

/** What a login says itself. */
const RESERVED = new Set([
  'client_id',
  'code_challenge',
  'code_challenge_method',
  'nonce',
  'redirect_uri',
  'request',
  'request_uri',
  'response_mode',
  'response_type',
  'scope',
  'state',
]);
const SECRET_BYTES = 32;
const LOOPBACK = /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

export function checkOptions(options: OidcOptions, route: RouteConfig): ConfigFault[] {
  const { cookie, login, introspection, clientSecret } = options;
  const faults = [...checkIssuer(options.issuer), ...checkCookie(options)];
  if (login && cookie === undefined) {
    faults.push(fault(['cookie'], 'is needed for logins: give it a secret, or write login: false'));
  }
  if (login) faults.push(...checkPlaces(options, route), ...checkRequest(options));
  if (!login && cookie === undefined && introspection === false) {
    faults.push(fault([], 'accepts nothing: give it a cookie, for sessions, or introspection, for bearer tokens'));
  }
  if (introspection !== false && clientSecret === undefined) {
    faults.push(fault(['introspection'], 'needs a clientSecret: issuers tell nothing about tokens to everybody'));
  }
  return faults;
}

function checkIssuer(issuer: string): ConfigFault[] {
  const at = ['issuer'];
  if (!URL.canParse(issuer)) return [fault(at, `'${issuer}' is not a URL`)];
  const { protocol, hostname, username, password, search, hash } = new URL(issuer);
  if (username !== '' || password !== '') return [fault(at, 'holds a user name: that is what clientId is for')];
  // OpenID Connect Discovery 1.0 §3.
  if (search !== '' || hash !== '') return [fault(at, `'${issuer}' has a query or fragment: issuers have none`)];
  if (protocol === 'https:' || (protocol === 'http:' && LOOPBACK.test(hostname))) return [];
  return [fault(at, `'${issuer}' is not https: whoever stands in between could log in as anybody`)];
}

function checkCookie({ cookie }: OidcOptions): ConfigFault[] {
  if (cookie === undefined) return [];
  const faults = (['secret', 'previousSecret'] as const).flatMap((key) => {
    const bytes = Buffer.byteLength(cookie[key] ?? ' '.repeat(SECRET_BYTES));
    if (bytes >= SECRET_BYTES) return [];
    return [fault(['cookie', key], `has ${bytes} bytes: it needs ${SECRET_BYTES}, as \`openssl rand -hex 32\` makes`)];
  });
  if (cookie.idle > cookie.maxAge) faults.push(fault(['cookie', 'idle'], 'is longer than maxAge, which ends it first'));
  if (cookie.domain !== undefined && !/^[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+$/.test(cookie.domain)) {
    faults.push(fault(['cookie', 'domain'], `'${cookie.domain}' is not a domain: write it as example.com`));
  }
  return faults;
}

function checkPlaces({ path, origin, afterLogout }: OidcOptions, route: RouteConfig): ConfigFault[] {
  const faults: ConfigFault[] = [];
  if (path.endsWith('/') || !isNormalPath(path)) faults.push(fault(['path'], `'${path}' is not a path in normal form`));
  else if (!route.match.some((match) => reaches(match, `${path}/callback`))) {
    faults.push(fault(['path'], `the route does not match GET ${path}/callback${advice(route)}`));
  }
  if (origin !== undefined && !(URL.canParse(origin) && new URL(origin).origin === origin)) {
    faults.push(fault(['origin'], `'${origin}' is not an origin: write it as https://shop.example.com`));
  }
  if (afterLogout !== undefined && returnPath(afterLogout) !== afterLogout) {
    faults.push(fault(['afterLogout'], `'${afterLogout}' is not a path of this site`));
  }
  return faults;
}

/** Whether a provider's redirect can get there: it is a GET, and brings nothing that conditions could ask for. */
function reaches({ path, methods, headers, query, cookies }: MatchConfig, wanted: string): boolean {
  if (methods?.includes('GET') === false) return false;
  if (headers !== undefined || query !== undefined || cookies !== undefined) return false;
  try {
    return pathMatches(compilePath(path), wanted);
  } catch {
    // Said where the path stands.
    return true;
  }
}

function advice({ match }: RouteConfig): string {
  for (const { path } of match) {
    if (typeof path === 'string' && path.endsWith('/*') && reaches({ path }, path.slice(0, -1) + 'oidc')) {
      return `: write path: ${path.slice(0, -1)}oidc, or login: false where another route has the login`;
    }
  }
  return ': add { path: /oidc/* } to its match, or write login: false where another route has the login';
}

function checkRequest({
  scopes,
  authorizationParameters,
  clientSecret,
  clientAuthentication,
}: OidcOptions): ConfigFault[] {
  const faults: ConfigFault[] = [];
  if (!scopes.includes('openid')) faults.push(fault(['scopes'], 'need openid: without it there is no ID token'));
  for (const name of Object.keys(authorizationParameters)) {
    if (RESERVED.has(name)) faults.push(fault(['authorizationParameters', name], 'is what each login says itself'));
  }
  if (clientSecret === undefined && clientAuthentication === 'post') {
    faults.push(fault(['clientAuthentication'], 'needs a clientSecret to send'));
  }
  return faults;
}

const fault = (path: Path, message: string): ConfigFault => ({ path, message });
