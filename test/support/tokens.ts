/** Tokens made by hand, right and wrong: every part can be said exactly. Signed by node:crypto, not by what verifies them. */
import { constants, createHmac, sign, type KeyObject } from 'node:crypto';
import { startUpstream, type Upstream } from './upstream.ts';

export type Part = string | object;

export const base64url = (part: Part | Buffer): string => {
  if (Buffer.isBuffer(part)) return part.toString('base64url');
  return Buffer.from(typeof part === 'string' ? part : JSON.stringify(part)).toString('base64url');
};

/** Gives the signature of `header.payload`. */
export type Signer = (input: string) => Buffer;

/** @param header as JSON, or exactly this text. */
export function token(header: Part, payload: Part, signer: Signer): string {
  const input = `${base64url(header)}.${base64url(payload)}`;
  return `${input}.${signer(input).toString('base64url')}`;
}

export const hmac =
  (secret: string | Buffer, hash = 'sha256'): Signer =>
  (input) =>
    createHmac(hash, secret).update(input).digest();

export const rsa =
  (key: KeyObject, hash = 'sha256'): Signer =>
  (input) =>
    sign(hash, Buffer.from(input), key);

export const pss =
  (key: KeyObject, hash = 'sha256', saltLength: number = constants.RSA_PSS_SALTLEN_DIGEST): Signer =>
  (input) =>
    sign(hash, Buffer.from(input), { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength });

export const ecdsa =
  (key: KeyObject, hash = 'sha256', dsaEncoding: 'ieee-p1363' | 'der' = 'ieee-p1363'): Signer =>
  (input) =>
    sign(hash, Buffer.from(input), { key, dsaEncoding });

export const eddsa =
  (key: KeyObject): Signer =>
  (input) =>
    sign(null, Buffer.from(input), key);

/** An issuer's server: serves what `keys` and `discovery` are at the moment, and counts. */
export interface KeyServer extends Upstream {
  keys: unknown;
  discovery: unknown;
  /** Of answers; 200 unless it is to fail. */
  status: number;
}

export async function startKeyServer(keys: readonly unknown[]): Promise<KeyServer> {
  const upstream = await startUpstream('issuer', (request, response) => {
    const body = JSON.stringify(request.url?.startsWith('/.well-known/') === true ? server.discovery : server.keys);
    request.resume();
    response.writeHead(server.status, { 'content-type': 'application/json', 'cache-control': 'max-age=60' }).end(body);
  });
  const server = Object.assign(upstream, { keys: { keys } as unknown, discovery: {} as unknown, status: 200 });
  return server;
}
