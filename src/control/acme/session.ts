/**
 * Signed questions in the name of an account (RFC 8555 §6, §7.3). The account's key alone says who we are: asking for a new
 * account with a known key is how one learns the URL of the one that there is.
 */
import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { calculateJwkThumbprint, FlattenedSign, type JWK } from 'jose';
import type { AcmeConfig } from '../../config/acme-schema.ts';
import type { Reply, Transport } from './transport.ts';

/** RFC 8555 §6.5: a nonce may be refused for no fault of ours; each refusal brings a new one. */
const MOST_NONCES = 10;
const MOST_CHARACTERS = 400;

/** The authority said no, in its own words. */
export class AcmeProblem extends Error {
  override readonly name = 'AcmeProblem';
  /** `urn:ietf:params:acme:error:…` */
  readonly type: string;
  /** When it may be asked again; 0 when it does not tell. */
  readonly retryAfterSeconds: number;

  constructor(type: string, detail: string, retryAfterSeconds = 0) {
    super(`${type.replace(/^urn:ietf:params:acme:error:/, '')}: ${detail}`);
    this.type = type;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

interface Directory {
  readonly newNonce: string;
  readonly newAccount: string;
  readonly newOrder: string;
}

export function newAccountKey(): string {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
    type: 'pkcs8',
    format: 'pem',
  }) as string;
}

export class AcmeSession {
  readonly #transport: Transport;
  readonly #key: KeyObject;
  readonly #publicKey: JWK;
  #directory!: Directory;
  #account: string | undefined;
  #nonce: string | undefined;

  private constructor(transport: Transport, key: KeyObject) {
    this.#transport = transport;
    this.#key = key;
    this.#publicKey = createPublicKey(key).export({ format: 'jwk' }) as JWK;
  }

  /** @throws when the authority knows of no such account and gives none. */
  static async open(transport: Transport, key: KeyObject, config: AcmeConfig): Promise<AcmeSession> {
    const session = new AcmeSession(transport, key);
    session.#directory = await session.#readDirectory(config.directory);
    await session.#openAccount(config);
    return session;
  }

  get newOrder(): string {
    return this.#directory.newOrder;
  }

  /** What a challenge of this token is answered with (RFC 8555 §8.1). */
  async keyAuthorization(token: string): Promise<string> {
    return `${token}.${await calculateJwkThumbprint(this.#publicKey)}`;
  }

  /** @param payload undefined: POST-as-GET (RFC 8555 §6.3). @throws AcmeProblem, or Error when nothing came back. */
  async ask(url: string, payload?: object, accept?: string): Promise<Reply> {
    for (let nonces = 1; ; nonces++) {
      const body = await this.#sign(url, payload);
      const reply = await this.#transport.ask({ method: 'POST', url, body, ...(accept && { accept }) });
      this.#nonce = reply.headers['replay-nonce'] as string | undefined;
      if (reply.status < 400) return reply;
      const problem = problemOf(reply);
      if (problem.type !== 'urn:ietf:params:acme:error:badNonce' || nonces === MOST_NONCES) throw problem;
    }
  }

  async #readDirectory(url: string): Promise<Directory> {
    const reply = await this.#transport.ask({ method: 'GET', url });
    if (reply.status !== 200) throw problemOf(reply);
    const directory = jsonOf(reply) as Partial<Directory>;
    const urls = [directory.newNonce, directory.newAccount, directory.newOrder];
    if (!urls.every((each) => typeof each === 'string')) throw new Error(`${url} is no ACME directory`);
    return directory as Directory;
  }

  async #openAccount({ email, externalAccount }: AcmeConfig): Promise<void> {
    const { newAccount } = this.#directory;
    const reply = await this.ask(newAccount, {
      termsOfServiceAgreed: true,
      ...(email && { contact: [`mailto:${email}`] }),
      ...(externalAccount && { externalAccountBinding: await this.#bind(externalAccount) }),
    });
    const { location } = reply.headers;
    if (location === undefined) throw new Error('the authority gave no URL of the account');
    this.#account = location;
  }

  /** RFC 8555 §7.3.4. */
  #bind({ keyId, macKey }: NonNullable<AcmeConfig['externalAccount']>) {
    return new FlattenedSign(Buffer.from(JSON.stringify(this.#publicKey)))
      .setProtectedHeader({ alg: 'HS256', kid: keyId, url: this.#directory.newAccount })
      .sign(Buffer.from(macKey, 'base64url'));
  }

  async #sign(url: string, payload: object | undefined): Promise<string> {
    const nonce = this.#nonce ?? (await this.#newNonce());
    // Each is good for one question.
    this.#nonce = undefined;
    const who = this.#account === undefined ? { jwk: this.#publicKey } : { kid: this.#account };
    const signed = await new FlattenedSign(Buffer.from(payload === undefined ? '' : JSON.stringify(payload)))
      .setProtectedHeader({ alg: 'ES256', nonce, url, ...who })
      .sign(this.#key);
    return JSON.stringify(signed);
  }

  async #newNonce(): Promise<string> {
    const { headers } = await this.#transport.ask({ method: 'HEAD', url: this.#directory.newNonce });
    const nonce = headers['replay-nonce'];
    if (typeof nonce !== 'string') throw new Error('the authority gave no nonce');
    return nonce;
  }
}

/** @throws when it is none. */
export function jsonOf({ body, status }: Reply): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(body);
    if (typeof value === 'object' && value !== null) return value as Readonly<Record<string, unknown>>;
  } catch {
    // Said below.
  }
  throw new Error(`the authority's answer (${status}) is no JSON object`);
}

function problemOf(reply: Reply): AcmeProblem {
  const retryAfterSeconds = secondsOf(reply);
  try {
    return (
      asProblem(jsonOf(reply), retryAfterSeconds) ??
      new AcmeProblem(`status ${reply.status}`, 'no reason given', retryAfterSeconds)
    );
  } catch {
    return new AcmeProblem(`status ${reply.status}`, 'no reason given', retryAfterSeconds);
  }
}

/** A problem document (RFC 9457) as it stands in orders, authorizations and challenges too. */
export function asProblem(value: unknown, retryAfterSeconds = 0): AcmeProblem | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { type, detail } = value as Readonly<Record<string, unknown>>;
  if (typeof type !== 'string') return undefined;
  return new AcmeProblem(words(type), words(typeof detail === 'string' ? detail : 'no detail'), retryAfterSeconds);
}

/** Retry-After in seconds, also where it is a date; 0 when there is none. */
export function secondsOf({ headers }: Reply): number {
  const written = headers['retry-after'];
  if (written === undefined) return 0;
  if (/^\d{1,9}$/.test(written)) return Number(written);
  const at = Date.parse(written);
  const now = Date.parse(headers.date ?? '');
  return Number.isNaN(at) || Number.isNaN(now) ? 0 : Math.max(0, Math.ceil((at - now) / 1000));
}

/** Of a stranger: one line of bounded length. */
const words = (text: string) => text.replace(/[\p{Cc}\p{Cf}]+/gu, ' ').slice(0, MOST_CHARACTERS);
