/**
 * OCSP stapling (RFC 6066 §8): the word of an authority that a certificate is still good, handed over in the handshake. One
 * that is stale is kept back: clients would refuse the certificate for it.
 */
import { createHash, X509Certificate } from 'node:crypto';
import type { Server } from 'node:tls';
import { ocspStaleAt } from '../config/ocsp.ts';

interface Staple {
  readonly response: Buffer;
  /** Milliseconds since the epoch. */
  readonly staleAt: number;
}

/** By the certificate that they are about. */
export class Staples {
  readonly #byCertificate = new Map<string, Staple>();

  add(pem: string, response: Uint8Array): void {
    const staple = { response: Buffer.from(response), staleAt: ocspStaleAt(response) };
    this.#byCertificate.set(nameOf(new X509Certificate(pem).raw), staple);
  }

  /** @param now milliseconds since the epoch. */
  for(certificate: Buffer, now: number): Buffer | null {
    const staple = this.#byCertificate.get(nameOf(certificate));
    return staple === undefined || staple.staleAt <= now ? null : staple.response;
  }
}

/** @param latest is asked at each handshake. */
export function staple(server: Server, latest: () => Staples, wall: () => number): void {
  server.on('OCSPRequest', (certificate, _issuer, done) => done(null, latest().for(certificate, wall())!));
}

const nameOf = (der: Buffer) => createHash('sha256').update(der).digest('base64');
