/**
 * TLS towards clients: who a listener proves to be, and how it asks clients who they are. Each generation has its own
 * certificates; the server stays, and with it every connection: only handshakes see the change.
 */
import { constants, createHash, hkdfSync, X509Certificate } from 'node:crypto';
import type http from 'node:http';
import https from 'node:https';
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls';
import type { ListenerConfig, ListenerTlsConfig } from '../config/schema.ts';
import type { TlsFiles } from '../config/tls-files.ts';
import { subjectAltNames } from './client-certificate.ts';

/** Compiled from the files of one listener. */
export interface ServerIdentity {
  /** For clients that ask for no name, or for one that no certificate has. */
  readonly fallback: SecureContextOptions & { readonly ticketKeys: Buffer };
  /** By the names in the certificates, in lower case; `*.example.com` as it is. */
  readonly byName: ReadonlyMap<string, SecureContext>;
}

/** Seconds that a session may be resumed: so long a client certificate is not shown again. */
const SESSION_SECONDS = 300;
const TICKET_KEY_BYTES = 48;

/**
 * @param files of each listener; those without `tls` have none.
 * @param secret of the process: threads must read each other's tickets.
 * @throws when they cannot be used.
 */
export function buildIdentities(
  listeners: readonly ListenerConfig[],
  files: readonly (TlsFiles | undefined)[],
  secret: Uint8Array,
): readonly (ServerIdentity | undefined)[] {
  return listeners.map(({ tls }, index) => {
    const held = files[index];
    if (tls === undefined || held === undefined) return undefined;
    try {
      // A session is resumed only where the same question was asked of the client, by the same files: a ticket from
      // another listener, or from before its clientCa changed, is not even readable (nginx: CVE-2025-23419).
      const scope = JSON.stringify([index, held.digest, tls.clientAuth, tls.minVersion]);
      return buildIdentity(tls, held, scope, secret);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`listen[${index}].tls: ${reason}`, { cause: error });
    }
  });
}

function buildIdentity(
  tls: ListenerTlsConfig,
  { certificates, clientCa }: TlsFiles,
  scope: string,
  secret: Uint8Array,
): ServerIdentity {
  const shared: SecureContextOptions & { ticketKeys: Buffer } = {
    minVersion: `TLSv${tls.minVersion}`,
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
    sessionTimeout: SESSION_SECONDS,
    sessionIdContext: createHash('sha256').update(scope).digest('hex').slice(0, 32),
    ticketKeys: Buffer.from(hkdfSync('sha256', secret, '', scope, TICKET_KEY_BYTES)),
    ...(clientCa === undefined ? {} : { ca: clientCa }),
  };
  const byName = new Map<string, SecureContext>();
  for (const pair of certificates) {
    const context = createSecureContext({ ...shared, ...pair });
    // Of two with the same name, the first that is listed.
    for (const name of namesOf(pair.cert)) if (!byName.has(name)) byName.set(name, context);
  }
  return { fallback: { ...shared, ...certificates[0] }, byName };
}

function namesOf(pem: string): string[] {
  const { subjectAltName } = new X509Certificate(pem);
  return subjectAltNames(subjectAltName).flatMap(({ type, value }) => (type === 'DNS' ? [value.toLowerCase()] : []));
}

/** The name itself, else a wildcard for its first label (RFC 9525 §6.3). */
function contextFor({ byName }: ServerIdentity, serverName: string): SecureContext | undefined {
  const name = serverName.toLowerCase();
  return byName.get(name) ?? byName.get(`*${name.slice(Math.max(0, name.indexOf('.')))}`);
}

/** An HTTP server behind TLS, whose certificates can be replaced. */
export class SecureServer {
  readonly server: https.Server;
  #identity: ServerIdentity;

  /** @param handshakeMs for one handshake; who takes longer is closed. */
  constructor(
    options: http.ServerOptions,
    { clientAuth }: ListenerTlsConfig,
    identity: ServerIdentity,
    handshakeMs: number,
    onRequest: http.RequestListener,
  ) {
    this.#identity = identity;
    const secure: https.ServerOptions = {
      ...options,
      ...identity.fallback,
      handshakeTimeout: handshakeMs,
      ALPNProtocols: ['http/1.1'],
      requestCert: clientAuth !== 'none',
      rejectUnauthorized: clientAuth === 'require',
      // Never throws: what is thrown here ends the process (CVE-2026-21637).
      SNICallback: (name, done) => done(null, contextFor(this.#identity, name)),
    };
    this.server = https.createServer(secure, onRequest);
  }

  /** From the next handshake on. */
  adopt(identity: ServerIdentity): void {
    if (identity === this.#identity) return;
    this.#identity = identity;
    this.server.setSecureContext(identity.fallback);
  }
}
