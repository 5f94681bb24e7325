/**
 * TLS towards clients: who a listener proves to be, and how it asks clients who they are. Each generation has its own
 * certificates; the server stays, and with it every connection: only handshakes see the change.
 */
import { constants, createHash, X509Certificate } from 'node:crypto';
import type http from 'node:http';
import https from 'node:https';
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls';
import type { ListenerConfig, ListenerTlsConfig } from '../config/schema.ts';
import type { TlsFiles } from '../config/tls-files.ts';
import { subjectAltNames } from '../subject-alt-names.ts';
import type { DataContext } from './context.ts';
import { staple, Staples } from './stapling.ts';
import { sealTickets, type TicketSecrets } from './ticket-keys.ts';

/** Compiled from the files of one listener. */
export interface ServerIdentity {
  /** For clients that ask for no name, or for one that no certificate has. */
  readonly fallback: SecureContextOptions;
  /** By the names in the certificates, in lower case; `*.example.com` as it is. */
  readonly byName: ReadonlyMap<string, SecureContext>;
  /** What a session is good for. */
  readonly scope: string;
  readonly staples: Staples;
}

/** Seconds that a session may be resumed: so long a client certificate is not shown again. */
const SESSION_SECONDS = 300;

/**
 * Of TLS 1.2 what Mozilla calls intermediate: forward secrecy and authenticated encryption only (RFC 9325 §4.2), which is
 * also all that HTTP/2 allows (RFC 9113 §9.2.2). All are good, so the client's order counts: phones prefer ChaCha20.
 */
const CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':');

/**
 * @param files of each listener; those without `tls` have none.
 * @throws when they cannot be used.
 */
export function buildIdentities(
  listeners: readonly ListenerConfig[],
  files: readonly (TlsFiles | undefined)[],
): readonly (ServerIdentity | undefined)[] {
  return listeners.map(({ tls }, index) => {
    const held = files[index];
    if (tls === undefined || held === undefined) return undefined;
    try {
      // A session is resumed only where the same question was asked of the client, by the same files: a ticket from
      // another listener, or from before its clientCa changed, is not even readable (nginx: CVE-2025-23419).
      const scope = JSON.stringify([index, held.digest, tls.clientAuth, tls.minVersion]);
      return buildIdentity(tls, held, scope);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`listen[${index}].tls: ${reason}`, { cause: error });
    }
  });
}

function buildIdentity(tls: ListenerTlsConfig, { certificates, clientCa }: TlsFiles, scope: string): ServerIdentity {
  const shared: SecureContextOptions = {
    minVersion: `TLSv${tls.minVersion}`,
    ciphers: CIPHERS,
    honorCipherOrder: false,
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
    sessionTimeout: SESSION_SECONDS,
    sessionIdContext: createHash('sha256').update(scope).digest('hex').slice(0, 32),
    ...(clientCa === undefined ? {} : { ca: clientCa }),
  };
  const byName = new Map<string, SecureContext>();
  const staples = new Staples();
  for (const { cert, key, ocsp } of certificates) {
    const context = createSecureContext({ ...shared, cert, key });
    // Of two with the same name, the first that is listed. (Node shows one kind of key only where names decide.)
    for (const name of namesOf(cert)) if (!byName.has(name)) byName.set(name, context);
    if (ocsp !== undefined) staples.add(cert, ocsp);
  }
  // Without one, until an authority has issued it, every handshake is refused.
  const [first] = certificates;
  const own = first === undefined ? {} : { cert: first.cert, key: first.key };
  return { fallback: { ...shared, ...own }, byName, scope, staples };
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
  readonly #tickets: TicketSecrets;
  #identity: ServerIdentity;

  /**
   * @param handshakeMs for one handshake; who takes longer is closed.
   * @param protocols what may be spoken behind it, preferred first.
   */
  constructor(
    options: http.ServerOptions,
    { clientAuth }: ListenerTlsConfig,
    identity: ServerIdentity,
    { tickets, clock }: Pick<DataContext, 'tickets' | 'clock'>,
    handshakeMs: number,
    protocols: string[],
  ) {
    this.#identity = identity;
    this.#tickets = tickets;
    const secure: https.ServerOptions = {
      ...options,
      ...identity.fallback,
      handshakeTimeout: handshakeMs,
      ALPNProtocols: protocols,
      requestCert: clientAuth !== 'none',
      rejectUnauthorized: clientAuth === 'require',
      // Never throws: what is thrown here ends the process (CVE-2026-21637).
      SNICallback: (name, done) => done(null, contextFor(this.#identity, name)),
    };
    this.server = https.createServer(secure);
    sealTickets(this.server, identity.scope, tickets);
    staple(this.server, () => this.#identity.staples, clock.wall);
  }

  /** From the next handshake on. */
  adopt(identity: ServerIdentity): void {
    if (identity === this.#identity) return;
    this.#identity = identity;
    this.server.setSecureContext(identity.fallback);
    sealTickets(this.server, identity.scope, this.#tickets);
  }
}
