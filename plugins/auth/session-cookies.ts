/**
 * Cookies that are sessions are for the gateway alone. A browser sends them with every request to their host, so on routes
 * that know nothing of them too they are taken out of what goes on.
 */
import type { Config } from '../../src/config/schema.ts';
import type { Exchange } from '../../src/data/exchange.ts';
import { withholdCookie } from '../../src/data/withhold.ts';
import type { AuthConfig } from './schema.ts';

const PREFIX = /^(?:__Host-|__Secure-)/;

const known = new WeakMap<Config, readonly string[]>();

/** Names, without their prefixes, of the session cookies of all routes. */
export function sessionCookies(config: Config): readonly string[] {
  let names = known.get(config);
  if (names === undefined) {
    const found = config.routes.flatMap(({ auth }) => nameOf(auth as AuthConfig | false | undefined) ?? []);
    known.set(config, (names = [...new Set(found)]));
  }
  return names;
}

function nameOf(auth: AuthConfig | false | undefined): string | undefined {
  return auth === undefined || auth === false ? undefined : auth.oidc?.cookie?.name;
}

/** By whatever prefix it came, and all its parts. */
export function withholdSessions(
  { view, upstream }: Pick<Exchange, 'view' | 'upstream'>,
  names: readonly string[],
): void {
  for (const sent of view.cookies.keys()) {
    const plain = sent.replace(PREFIX, '');
    if (names.some((name) => plain === name || plain.startsWith(`${name}.`))) withholdCookie(upstream, sent);
  }
}
