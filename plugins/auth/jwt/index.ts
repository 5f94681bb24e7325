/** Bearer tokens (RFC 6750, RFC 7519): who calls is what an issuer has signed. */
import type { OptionFiles } from '../../../src/config/option-files.ts';
import type { Config } from '../../../src/config/schema.ts';
import type { PluginContext } from '../../../src/extension.ts';
import { defineMethod, type Authenticator } from '../method.ts';
import { VerifiedCredentials } from '../verified.ts';
import { BearerTokens } from './bearer-tokens.ts';
import { Carriage } from './carriage.ts';
import { checkOptions } from './check.ts';
import { keysOf } from './keys-of.ts';
import { Provider } from './provider.ts';
import type { JwtOptions, ProviderOptions } from './schema.ts';
import { documentOf, providersOf, settingsOf } from './settings.ts';

export default defineMethod<JwtOptions>({
  name: 'jwt',

  resolve(options, files) {
    const { providers } = options;
    if (providers === undefined) return withKey(options, files, []);
    return { ...options, providers: providers.map((provider, at) => withKey(provider, files, ['providers', at])) };
  },
  check: checkOptions,
  documents: (options) => providersOf(options).flatMap((provider) => documentOf(provider) ?? []),

  /** Routes with the same options share what was verified. */
  create(options, context) {
    let routes = compiled.get(context.config);
    if (routes === undefined) compiled.set(context.config, (routes = new Map()));
    const key = JSON.stringify(options);
    let tokens = routes.get(key);
    if (tokens === undefined) routes.set(key, (tokens = create(options, context)));
    return tokens;
  },
});

const compiled = new WeakMap<Config, Map<string, Promise<Authenticator>>>();

async function create(options: JwtOptions, context: PluginContext): Promise<Authenticator> {
  const { clock, consumers } = context;
  const providers = providersOf(options).map(async (written) => {
    const settings = settingsOf(written);
    const keys = await keysOf(settings, context);
    return { issuer: written.issuer, provider: new Provider(settings, keys, consumers, clock) };
  });
  return new BearerTokens({
    carriage: new Carriage(options),
    providers: await Promise.all(providers),
    verified: new VerifiedCredentials(clock, consumers, options.cacheTokens),
  });
}

/** A public key is what its file holds. */
function withKey<Options extends ProviderOptions>(
  options: Options,
  files: OptionFiles,
  at: readonly (string | number)[],
): Options {
  const { publicKey } = options;
  if (publicKey === undefined || publicKey.includes('-----BEGIN ')) return options;
  try {
    return { ...options, publicKey: files.text(publicKey) };
  } catch (error) {
    throw Object.assign(error as Error, { path: [...at, 'publicKey'] });
  }
}
