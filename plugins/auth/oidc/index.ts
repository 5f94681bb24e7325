/** Logins at an OpenID provider, sessions, and tokens that only it can read; see README.md. */
import type { Config } from '../../../src/config/schema.ts';
import type { PluginContext } from '../../../src/extension.ts';
import { defineMethod, type Authenticator } from '../method.ts';
import { OidcAuthenticator, type Browsers } from './authenticator.ts';
import { checkOptions } from './check.ts';
import { Cookies } from './cookies.ts';
import { Introspection } from './introspection.ts';
import { discoveryUrl, Issuer } from './issuer.ts';
import { Logins, LOGIN_WITHIN_MS, type Login } from './login.ts';
import { Logouts } from './logout.ts';
import { Renewals } from './renewals.ts';
import type { OidcOptions } from './schema.ts';
import { createSeal } from './sealed.ts';
import type { Session } from './session.ts';
import { Sessions } from './sessions.ts';

export default defineMethod<OidcOptions>({
  name: 'oidc',
  check: checkOptions,
  documents: ({ issuer }) => [discoveryUrl(issuer)],

  create(options, context) {
    const made = forGeneration(context);
    const key = JSON.stringify(options);
    let authenticator = made.get(key);
    if (authenticator === undefined) made.set(key, (authenticator = create(options, context)));
    return authenticator;
  },
});

/** Routes with the same options share what is known of sessions and tokens. */
const shared = new WeakMap<Config, Map<string, Promise<Authenticator>>>();

function forGeneration({ config }: PluginContext): Map<string, Promise<Authenticator>> {
  let found = shared.get(config);
  if (found === undefined) shared.set(config, (found = new Map<string, Promise<Authenticator>>()));
  return found;
}

async function create(options: OidcOptions, context: PluginContext): Promise<Authenticator> {
  const { clock, consumers, documents, log } = context;
  const issuer = await Issuer.load({ options, documents, clock, log });
  const { introspection } = options;
  return new OidcAuthenticator({
    options,
    browsers: await createBrowsers(options, issuer, context),
    introspection:
      introspection === false ? undefined : new Introspection({ options, introspection, issuer, consumers, clock }),
  });
}

async function createBrowsers(
  options: OidcOptions,
  issuer: Issuer,
  { clock, consumers, limits }: PluginContext,
): Promise<Browsers | undefined> {
  const { cookie: cookieOptions, clientId } = options;
  if (cookieOptions === undefined) return undefined;
  const whose = { issuer: options.issuer, clientId };
  const [seal, logins] = await Promise.all([
    createSeal<Session>(cookieOptions, { purpose: 'session', ...whose }),
    createSeal<Login>(cookieOptions, { purpose: 'login', ...whose }),
  ]);
  const cookies = new Cookies(cookieOptions, options.origin);
  const renewals = new Renewals(options, issuer, limits, clock);
  const sessions = new Sessions({ options, cookieOptions, cookies, seal, renewals, consumers, clock });
  const states = limits.limiter({
    name: 'auth.oidc.state',
    max: 1,
    windowMs: LOGIN_WITHIN_MS,
    algorithm: 'gcra',
    burst: 1,
    onStoreFailure: 'local',
  });
  return {
    cookies,
    sessions,
    logins: new Logins({ options, cookieOptions, issuer, cookies, logins, sessions: seal, states, clock }),
    logouts: new Logouts(options, issuer, cookies, sessions),
  };
}
