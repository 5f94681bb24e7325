/**
 * The callers that are known, found by what a credential proves. Those of the files belong to a generation; those of the
 * store come and go while it serves, so both are asked for each credential, the files first.
 */
import type {
  ApiKeyConfig,
  CertificateConfig,
  ConsumerConfig,
  PasswordConfig,
  SignatureKeyConfig,
  TokenConfig,
} from '../config/schema.ts';
import { normalForm } from '../credentials/password-hash.ts';
import { ConsumerReader, shareConsumers, type LookupKind, type SharedConsumers } from './shared-consumers.ts';

/** A credential and whose it is. */
export interface Found<Credential> {
  readonly consumer: ConsumerConfig;
  readonly credential: Credential;
}

export interface ConsumerDirectory {
  /** Grows whenever anything may have changed: what was found under an older one has to be found again. */
  readonly version: number;
  byName(name: string): ConsumerConfig | undefined;
  /** @param sha256 of the key, in lower-case hex. */
  byApiKey(sha256: string): Found<ApiKeyConfig> | undefined;
  /** @param username in normal form (NFC). */
  byUsername(username: string): Found<PasswordConfig> | undefined;
  bySignatureKey(id: string): Found<SignatureKeyConfig> | undefined;
  /** The first whose conditions `holds` affirms. There are few: most consumers have other credentials. */
  byToken(holds: (token: TokenConfig) => boolean): ConsumerConfig | undefined;
  byCertificate(holds: (certificate: CertificateConfig) => boolean): ConsumerConfig | undefined;
}

const NONE = shareConsumers([]);

/** Consumers of the store, as the control plane told them last: one for each data thread. */
export class StoredConsumers {
  index = new Index(NONE);
  #version = 0;

  replace(consumers: SharedConsumers): void {
    this.index = new Index(consumers);
    this.#version++;
  }

  get version(): number {
    return this.#version;
  }

  /** The directory of a generation. */
  of(consumers: SharedConsumers): ConsumerDirectory {
    return new Directory(new Index(consumers), this);
  }
}

class Directory implements ConsumerDirectory {
  readonly #own: Index;
  readonly #stored: StoredConsumers;

  constructor(own: Index, stored: StoredConsumers) {
    this.#own = own;
    this.#stored = stored;
  }

  get version(): number {
    return this.#stored.version;
  }

  byName(name: string): ConsumerConfig | undefined {
    return this.#own.byName(name) ?? this.#stored.index.byName(name);
  }

  byApiKey(sha256: string): Found<ApiKeyConfig> | undefined {
    return this.#own.byApiKey(sha256) ?? this.#unlessOwn(this.#stored.index.byApiKey(sha256));
  }

  byUsername(username: string): Found<PasswordConfig> | undefined {
    return this.#own.byUsername(username) ?? this.#unlessOwn(this.#stored.index.byUsername(username));
  }

  bySignatureKey(id: string): Found<SignatureKeyConfig> | undefined {
    return this.#own.bySignatureKey(id) ?? this.#unlessOwn(this.#stored.index.bySignatureKey(id));
  }

  byToken(holds: (token: TokenConfig) => boolean): ConsumerConfig | undefined {
    return this.#first((index) => index.tokens, holds);
  }

  byCertificate(holds: (certificate: CertificateConfig) => boolean): ConsumerConfig | undefined {
    return this.#first((index) => index.certificates, holds);
  }

  /** A consumer of the files is as its file says: the store adds no credential to it. */
  #unlessOwn<Credential>(found: Found<Credential> | undefined): Found<Credential> | undefined {
    return found === undefined || this.#own.byName(found.consumer.name) !== undefined ? undefined : found;
  }

  #first<Credential>(
    conditionsOf: (index: Index) => readonly Found<Credential>[],
    holds: (credential: Credential) => boolean,
  ): ConsumerConfig | undefined {
    const isMeant = ({ credential }: Found<Credential>) => holds(credential);
    const own = conditionsOf(this.#own).find(isMeant);
    if (own !== undefined) return own.consumer;
    return conditionsOf(this.#stored.index).find((found) => isMeant(found) && this.#unlessOwn(found) !== undefined)
      ?.consumer;
  }
}

class Index {
  readonly #reader: ConsumerReader;
  #tokens: readonly Found<TokenConfig>[] | undefined;
  #certificates: readonly Found<CertificateConfig>[] | undefined;

  constructor(consumers: SharedConsumers) {
    this.#reader = new ConsumerReader(consumers);
  }

  byName(name: string): ConsumerConfig | undefined {
    return this.#reader.find('name', name, (consumer) => (consumer.name === name ? consumer : undefined));
  }

  byApiKey(sha256: string): Found<ApiKeyConfig> | undefined {
    return this.#find('apiKey', sha256, ({ apiKeys }) => apiKeys.find((key) => key.sha256 === sha256));
  }

  byUsername(username: string): Found<PasswordConfig> | undefined {
    return this.#find('username', username, ({ basic }) =>
      basic.find((password) => normalForm(password.username) === username),
    );
  }

  bySignatureKey(id: string): Found<SignatureKeyConfig> | undefined {
    return this.#find('signatureKey', id, ({ signatureKeys }) => signatureKeys.find((key) => key.id === id));
  }

  get tokens(): readonly Found<TokenConfig>[] {
    return (this.#tokens ??= this.#reader
      .withTokens()
      .flatMap((consumer) => consumer.jwt.map((credential) => ({ consumer, credential }))));
  }

  get certificates(): readonly Found<CertificateConfig>[] {
    return (this.#certificates ??= this.#reader
      .withCertificates()
      .flatMap((consumer) => consumer.certificates.map((credential) => ({ consumer, credential }))));
  }

  #find<Credential>(
    kind: LookupKind,
    value: string,
    among: (consumer: ConsumerConfig) => Credential | undefined,
  ): Found<Credential> | undefined {
    return this.#reader.find(kind, value, (consumer) => {
      const credential = among(consumer);
      return credential === undefined ? undefined : { consumer, credential };
    });
  }
}
