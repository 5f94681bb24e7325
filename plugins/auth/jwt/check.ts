/** What a schema cannot say about the options: keys and algorithms that do not go together, keys that anybody could replace. */
import type { ConfigFault } from '../../../src/extension.ts';
import { isSymmetric, secretBytes } from '../../../src/config/signature-algorithms.ts';
import { keyFromPem } from './public-key.ts';
import type { JwtOptions, ProviderOptions } from './schema.ts';
import { algorithmsOf } from './settings.ts';

type Path = readonly (string | number)[];

const SOURCES = ['jwksUri', 'discovery', 'publicKey', 'secret'] as const;
const MOST_CLOCK_TOLERANCE_MS = 60_000;

export function checkOptions(options: JwtOptions): ConfigFault[] {
  const { providers, ...shared } = options;
  if (providers === undefined) return checkProvider(shared, shared, []);
  const own = (['issuer', ...SOURCES] as const).filter((key) => shared[key] !== undefined);
  if (own.length > 0) return own.map((key) => fault([key], 'is each provider’s own: move it there'));
  return providers.flatMap((provider, at) => [
    ...checkProvider(provider, { ...shared, ...provider }, ['providers', at]),
    ...checkIssuer(provider, providers.slice(0, at), ['providers', at]),
  ]);
}

/** A token chooses its provider by its issuer. */
function checkIssuer({ issuer }: ProviderOptions, earlier: readonly ProviderOptions[], at: Path): ConfigFault[] {
  if (issuer === undefined) return [fault(at, 'needs an issuer: the claim iss says which provider decides')];
  const isTaken = earlier.some((other) => other.issuer === issuer);
  return isTaken ? [fault([...at, 'issuer'], `'${issuer}' has a provider already`)] : [];
}

/** @param options with what the provider takes from beside `providers`. */
function checkProvider(written: ProviderOptions, options: ProviderOptions, at: Path): ConfigFault[] {
  const sources = SOURCES.filter((key) => written[key] !== undefined && written[key] !== false);
  const [source] = sources;
  if (source === undefined || sources.length > 1) {
    return [fault(at, `needs one source of keys, and only one: ${SOURCES.join(', ')}`)];
  }
  return [...checkSource(source, options, at), ...checkTolerance(options, at)];
}

function checkSource(source: (typeof SOURCES)[number], options: ProviderOptions, at: Path): ConfigFault[] {
  const { algorithms = [], secret = '', publicKey = '', jwksUri = '', issuer } = options;
  const foreign = algorithms.find((algorithm) => isSymmetric(algorithm) !== (source === 'secret'));
  if (foreign !== undefined) {
    const needs = isSymmetric(foreign) ? 'needs a secret' : 'needs a public key, not a secret';
    return [fault([...at, 'algorithms'], `${foreign} ${needs}: a key that fits both could be used to forge`)];
  }
  switch (source) {
    case 'secret':
      return checkSecret(secret, options, [...at, source]);
    case 'publicKey':
      return checkPublicKey(publicKey, options, [...at, source]);
    case 'jwksUri':
      return checkUrl(jwksUri, [...at, source]);
    case 'discovery':
      if (issuer === undefined) return [fault([...at, source], 'needs the issuer, whose document it looks for')];
      return checkUrl(issuer, [...at, 'issuer']);
  }
}

function checkSecret(secret: string, options: ProviderOptions, at: Path): ConfigFault[] {
  const needed = Math.max(...algorithmsOf(options).map(secretBytes));
  const bytes = Buffer.byteLength(secret);
  if (bytes >= needed) return [];
  return [
    fault(
      at,
      `has ${bytes} bytes: RFC 7518 §3.2 asks for at least ${needed}, as \`openssl rand -hex ${needed}\` makes`,
    ),
  ];
}

function checkPublicKey(pem: string, options: ProviderOptions, at: Path): ConfigFault[] {
  try {
    keyFromPem(pem, algorithmsOf(options));
    return [];
  } catch (error) {
    return [fault(at, (error as Error).message)];
  }
}

const LOOPBACK = /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

function checkUrl(text: string, at: Path): ConfigFault[] {
  if (!URL.canParse(text)) return [fault(at, `'${text}' is not a URL`)];
  const { protocol, hostname, username, password } = new URL(text);
  if (username !== '' || password !== '') return [fault(at, 'holds a user name: key sets are public')];
  if (protocol === 'https:' || (protocol === 'http:' && LOOPBACK.test(hostname))) return [];
  return [fault(at, `'${text}' is not https: whoever stands in between could put in keys of their own`)];
}

function checkTolerance({ clockTolerance = 0 }: ProviderOptions, at: Path): ConfigFault[] {
  if (clockTolerance <= MOST_CLOCK_TOLERANCE_MS) return [];
  return [fault([...at, 'clockTolerance'], 'is more than 60s: keep the clocks in time instead')];
}

const fault = (path: Path, message: string): ConfigFault => ({ path, message });
