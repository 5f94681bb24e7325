/**
 * The provider. What it says of itself (its discovery document, its keys) is fetched by the control plane, once for all
 * threads, and outlives its absence; here are the questions that only it can answer, each bounded in time and size.
 */
import type * as OpenidClient from 'openid-client';
import type { Configuration, CustomFetchOptions, ServerMetadata } from 'openid-client';
import type { Logger } from 'pino';
import type { Clock } from '../../../src/clock.ts';
import type { Documents } from '../../../src/data/documents.ts';
import type { OidcOptions } from './schema.ts';

export type Library = typeof OpenidClient;

export const DISCOVERY = '/.well-known/openid-configuration';
/** How long a request waits for the first word of a provider. */
const LONGEST_WAIT_MS = 2000;
const ANSWER_WITHIN_S = 5;
const MOST_BYTES = 256 * 1024;
/** Of failures; a provider that is away is one line, not one for each request. */
const LOG_EVERY_MS = 10_000;

export interface IssuerParts {
  readonly options: OidcOptions;
  readonly documents: Documents;
  readonly clock: Clock;
  readonly log: Logger;
}

const NEEDED = ['authorization_endpoint', 'token_endpoint'] as const;

/** OpenID Connect Discovery 1.0 §4: a slash at the end of the issuer is not doubled. */
export const discoveryUrl = (issuer: string): string => issuer.replace(/\/$/, '') + DISCOVERY;

export class Issuer {
  readonly library: Library;
  readonly #parts: IssuerParts;
  readonly #url: string;
  #text: string | undefined;
  #configuration: Configuration | undefined;
  #loggedAt = -Infinity;

  static async load(parts: IssuerParts): Promise<Issuer> {
    return new Issuer(parts, await import('openid-client'));
  }

  private constructor(parts: IssuerParts, library: Library) {
    this.#parts = parts;
    this.#url = discoveryUrl(parts.options.issuer);
    this.library = library;
  }

  /** Undefined while the provider was never there. */
  async configuration(): Promise<Configuration | undefined> {
    const known = this.#compiled();
    if (known !== undefined) return known;
    await this.#renewed(this.#url);
    return this.#compiled();
  }

  /** For the log: an operator has to know what clients are not told. */
  report(what: string, error: unknown): void {
    const { clock, log, options } = this.#parts;
    const now = clock.now();
    if (now - this.#loggedAt < LOG_EVERY_MS) return;
    this.#loggedAt = now;
    const { issuer } = options;
    const reason = reasonOf(error);
    log.warn({ event: 'oidc_failed', issuer, reason }, `${issuer}: ${what} failed: ${reason}`);
  }

  #compiled(): Configuration | undefined {
    const text = this.#parts.documents.get(this.#url)?.text;
    if (text !== undefined && text !== this.#text) {
      this.#text = text;
      try {
        this.#configuration = this.#compile(JSON.parse(text) as ServerMetadata);
      } catch (error) {
        this.report('its discovery document', error);
      }
    }
    return this.#configuration;
  }

  #compile(metadata: ServerMetadata): Configuration {
    const { library } = this;
    const { issuer, clientId, clientSecret, clientAuthentication } = this.#parts.options;
    const authentication =
      clientSecret === undefined
        ? library.None()
        : clientAuthentication === 'basic'
          ? library.ClientSecretBasic(clientSecret)
          : library.ClientSecretPost(clientSecret);
    for (const name of NEEDED) {
      if (!isTrustworthy(metadata[name], issuer)) throw new Error(`it names no ${name} that could be trusted`);
    }
    const configuration = new library.Configuration(metadata, clientId, undefined, authentication);
    configuration.timeout = ANSWER_WITHIN_S;
    configuration[library.customFetch] = (url, options) => this.#fetch(url, options, metadata.jwks_uri);
    // Signatures of ID tokens are verified although they come from the provider itself over TLS.
    library.enableNonRepudiationChecks(configuration);
    // The options were checked: then it is on this machine.
    if (new URL(issuer).protocol === 'http:') library.allowInsecureRequests(configuration);
    return configuration;
  }

  async #fetch(url: string, options: CustomFetchOptions, keysUrl: string | undefined): Promise<Response> {
    if (url !== keysUrl) return bounded(await fetch(url, options as RequestInit));
    // Asked for the first time, or for a key that was not there; how often that reaches the provider is bounded.
    await this.#renewed(url);
    const text = this.#parts.documents.get(url)?.text;
    if (text === undefined) throw new TypeError('the keys of the issuer could not be fetched yet');
    return new Response(text, { headers: { 'content-type': 'application/json' } });
  }

  #renewed(url: string): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#parts.clock.after(LONGEST_WAIT_MS, resolve);
      this.#parts.documents.refresh(url, () => {
        timer.cancel();
        resolve();
      });
    });
  }
}

/** As safe as the issuer that names it. */
function isTrustworthy(endpoint: unknown, issuer: string): boolean {
  if (typeof endpoint !== 'string' || !URL.canParse(endpoint)) return false;
  const { protocol } = new URL(endpoint);
  return protocol === 'https:' || (protocol === 'http:' && new URL(issuer).protocol === 'http:');
}

async function bounded(response: Response): Promise<Response> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > MOST_BYTES) throw new TypeError(`the answer is larger than ${MOST_BYTES} bytes`);
    chunks.push(chunk);
  }
  const { status, headers } = response;
  return new Response(bytes === 0 ? null : Buffer.concat(chunks), { status, headers });
}

interface ProviderError {
  readonly status?: number;
  readonly code?: string;
  /** RFC 6749 §5.2. */
  readonly error?: string;
}

const NO_ANSWER = new Set([
  'OAUTH_TIMEOUT',
  'OAUTH_ABORT',
  'OAUTH_RESPONSE_IS_NOT_CONFORM',
  'OAUTH_RESPONSE_IS_NOT_JSON',
  'OAUTH_PARSE_ERROR',
]);

/** Whether the provider gave no answer that says anything of the request: it is away, or turns this gateway itself down. */
export function isNoAnswer(error: unknown): boolean {
  if (error instanceof TypeError) return true;
  const { status = 0, code = '', error: type } = error as ProviderError;
  return NO_ANSWER.has(code) || status >= 500 || status === 429 || status === 401 || type === 'invalid_client';
}

/** RFC 6749 §5.2: the code or refresh token is spent, revoked, or was never good. */
export function isInvalidGrant(error: unknown): boolean {
  return (error as ProviderError).error === 'invalid_grant';
}

/** Without what the provider was asked with, and what it said of users. */
export function reasonOf(error: unknown): string {
  const { error: type, code } = error as ProviderError;
  const { message, cause } = error as Error;
  const inner = (cause as NodeJS.ErrnoException | undefined)?.code;
  return [message, type ?? inner ?? code].filter((part) => part !== undefined && part !== '').join(': ');
}
