/**
 * A real OpenID provider (the package oidc-provider) on loopback, which logs in whoever it is told to without asking, and
 * a browser for it: keeps cookies by origin, follows redirects one by one, runs no script.
 */
import { generateKeyPairSync } from 'node:crypto';
import { request, type IncomingMessage, type ServerResponse } from 'node:http';
import { readAll, startUpstream, type Upstream } from './upstream.ts';

export interface ProviderClient {
  readonly client_id: string;
  readonly [member: string]: unknown;
}

export interface IdentityProvider extends Upstream {
  /** Who logs in next. */
  user: string;
  /** Answers with this instead of what is asked, until it is undefined again. @param path without query. */
  broken: ((path: string) => number | undefined) | undefined;
  /** Changes what it says, until it is undefined again. @param path without query. */
  tamper: ((path: string, body: string) => string) | undefined;
  /** Paths of the requests that came, without query, in their order. */
  readonly paths: string[];
  /** From now on it is there; until then it answers 503. */
  serve(clients: readonly ProviderClient[]): Promise<void>;
}

interface Interaction {
  readonly prompt: { readonly name: string; readonly details: { readonly missingOIDCScope?: readonly string[] } };
  readonly params: { readonly client_id: string };
  readonly session?: { readonly accountId: string };
}

interface Grant {
  addOIDCScope(scope: string): void;
  save(): Promise<string>;
}

interface Provider {
  readonly Grant: new (grant: { readonly accountId: string; readonly clientId: string }) => Grant;
  callback(): (request: IncomingMessage, response: ServerResponse) => void;
  interactionDetails(request: IncomingMessage, response: ServerResponse): Promise<Interaction>;
  interactionFinished(request: IncomingMessage, response: ServerResponse, result: object): Promise<void>;
}

/** @param accessTokenSeconds of tokens for a client. */
export async function startIdentityProvider(
  accessTokenSeconds: (clientId: string) => number,
): Promise<IdentityProvider> {
  let provider: Provider | undefined;
  const upstream = await startUpstream('provider', (incoming, response) => {
    const path = incoming.url!.split('?')[0]!;
    server.paths.push(path);
    const status = provider === undefined ? 503 : server.broken?.(path);
    if (status !== undefined) {
      incoming.resume();
      response.writeHead(status).end();
    } else if (path.startsWith('/interaction/')) {
      void finish(provider!, incoming, response, server.user);
    } else {
      if (server.tamper !== undefined) tamperWith(response, (body) => server.tamper!(path, body));
      provider!.callback()(incoming, response);
    }
  });
  const server: IdentityProvider = Object.assign(upstream, {
    user: 'ann',
    broken: undefined,
    tamper: undefined,
    paths: [],
    async serve(clients: readonly ProviderClient[]) {
      provider = await createProvider(upstream.url, clients, accessTokenSeconds);
    },
  });
  return server;
}

/** Of an answer that is one text. */
function tamperWith(response: ServerResponse, change: (body: string) => string): void {
  const end = response.end.bind(response) as (body: unknown) => ServerResponse;
  response.end = ((body: unknown) => {
    if (typeof body !== 'string') return end(body);
    const changed = change(body);
    response.setHeader('content-length', Buffer.byteLength(changed));
    return end(changed);
  }) as typeof response.end;
}

/** What its pages would ask a user. */
async function finish(
  provider: Provider,
  request: IncomingMessage,
  response: ServerResponse,
  user: string,
): Promise<void> {
  const { prompt, params, session } = await provider.interactionDetails(request, response);
  if (prompt.name === 'login') return provider.interactionFinished(request, response, { login: { accountId: user } });
  const grant = new provider.Grant({ accountId: session!.accountId, clientId: params.client_id });
  grant.addOIDCScope((prompt.details.missingOIDCScope ?? []).join(' '));
  return provider.interactionFinished(request, response, { consent: { grantId: await grant.save() } });
}

async function createProvider(
  issuer: string,
  clients: readonly ProviderClient[],
  accessTokenSeconds: (clientId: string) => number,
): Promise<Provider> {
  // It comes without types.
  const { default: Provider } = (await import('oidc-provider' as string)) as {
    default: new (issuer: string, configuration: object) => Provider;
  };
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return new Provider(issuer, {
    clients,
    jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), kid: 'k1', use: 'sig' }] },
    cookies: { keys: ['test'] },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      introspection: { enabled: true },
      revocation: { enabled: true },
    },
    claims: { openid: ['sub'], email: ['email'], profile: ['groups'] },
    conformIdTokenClaims: false,
    findAccount: (_: unknown, accountId: string) => ({
      accountId,
      claims: () => ({
        sub: accountId,
        email: `${accountId}@example.com`,
        groups: accountId === 'member-of-many' ? MANY : ['staff'],
      }),
    }),
    interactions: { url: (_: unknown, { uid }: { uid: string }) => `/interaction/${uid}` },
    issueRefreshToken: (_: unknown, client: { grantTypeAllowed(type: string): boolean }) =>
      client.grantTypeAllowed('refresh_token'),
    rotateRefreshToken: true,
    ttl: {
      AccessToken: (_: unknown, __: unknown, { clientId }: { clientId: string }) => accessTokenSeconds(clientId),
      ClientCredentials: 600,
      Grant: 3600,
      IdToken: 3600,
      Interaction: 600,
      RefreshToken: 3600,
      Session: 3600,
    },
  });
}

const MANY = Array.from({ length: 120 }, (_, number) => `a-rather-long-name-of-a-group-${number}`);

export interface Visit {
  readonly url: URL;
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
}

/** Node's fetch would say that a script asks. */
export function ask(url: string | URL, headers: Record<string, string>, method = 'GET'): Promise<Visit> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, headers }, (answer) => {
      void readAll(answer).then((body) => {
        const fields = new Headers();
        for (let at = 0; at < answer.rawHeaders.length; at += 2) {
          fields.append(answer.rawHeaders[at]!, answer.rawHeaders[at + 1]!);
        }
        resolve({ url: new URL(url), status: answer.statusCode!, headers: fields, body: body.toString() });
      }, reject);
    });
    sent.on('error', reject).end();
  });
}

export class Browser {
  readonly #jars = new Map<string, Map<string, string>>();

  /** Cookies of an origin; what is set here is sent. */
  jar(url: string | URL): Map<string, string> {
    const { origin } = new URL(url);
    const jar = this.#jars.get(origin) ?? new Map<string, string>();
    this.#jars.set(origin, jar);
    return jar;
  }

  /** One request, as of a user who follows a link. */
  async visit(url: string | URL, headers: Record<string, string> = NAVIGATION, method = 'GET'): Promise<Visit> {
    const jar = this.jar(url);
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
    const visit = await ask(url, { ...headers, ...(cookie === '' ? {} : { cookie }) }, method);
    for (const line of visit.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (value === '' || /;\s*max-age=0/i.test(line)) jar.delete(name);
      else jar.set(name, value);
    }
    return visit;
  }

  /** Follows redirects until there are none, or one leads where `stop` says. */
  async follow(url: string | URL, stop: (url: URL) => boolean = () => false): Promise<Visit> {
    let at = new URL(url);
    for (let hops = 0; hops < 12; hops++) {
      const visit = await this.visit(at);
      const location = visit.headers.get('location');
      if (location === null) return visit;
      at = new URL(location, at);
      if (stop(at)) return { ...visit, url: at };
    }
    throw new Error(`redirected for ever: ${at.href}`);
  }

  /** The same cookies, in another window of time. */
  clone(): Browser {
    const copy = new Browser();
    for (const [origin, jar] of this.#jars) copy.#jars.set(origin, new Map(jar));
    return copy;
  }
}

export const NAVIGATION = { accept: 'text/html,*/*;q=0.8', 'sec-fetch-mode': 'navigate' };
export const SCRIPT = { accept: 'application/json', 'sec-fetch-mode': 'cors' };
