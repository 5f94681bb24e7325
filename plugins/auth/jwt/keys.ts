/** The keys of one issuer: those that are written down, and those that it publishes and may change at any time. */
import type { Logger } from 'pino';
import type { Clock } from '../../../src/clock.ts';
import type { Documents, RemoteDocument } from '../../../src/data/documents.ts';
import type { Algorithm } from '../../../src/config/signature-algorithms.ts';
import { keysFromSet, type SigningKey } from './public-key.ts';
import { createVerifiers, type Verify } from './verifiers.ts';

export interface Keys {
  /** Grows when keys were added or withdrawn: what was verified before has to be verified again. Looking may start that. */
  readonly version: number;
  /** Those that may have signed it; undefined while there are none at all. */
  candidates(algorithm: Algorithm, kid: string | undefined): readonly Verify[] | undefined;
  /** Asks for newer ones. `done` is called once, also when there are none or it takes too long; undefined: never are. */
  readonly renew: ((done: () => void) => void) | undefined;
}

/** How many keys are tried for a token that names none. */
const MOST_TRIES = 8;

/** Keys that can be tried. */
class KeySet {
  readonly #keys: readonly { readonly key: SigningKey; readonly verify: Verify }[];

  private constructor(keys: readonly SigningKey[], verifiers: readonly Verify[]) {
    this.#keys = keys.map((key, at) => ({ key, verify: verifiers[at]! }));
  }

  static async of(keys: readonly SigningKey[]): Promise<KeySet> {
    return new KeySet(keys, await createVerifiers(keys));
  }

  candidates(algorithm: Algorithm, kid: string | undefined): readonly Verify[] {
    return this.#keys
      .filter(({ key }) => key.algorithms.includes(algorithm) && (kid === undefined || key.kid === kid))
      .slice(0, MOST_TRIES)
      .map(({ verify }) => verify);
  }
}

/** A key of the configuration: the only one, whatever a token names. */
export async function writtenKey(key: SigningKey): Promise<Keys> {
  const set = await KeySet.of([key]);
  return { version: 0, candidates: (algorithm) => set.candidates(algorithm, undefined), renew: undefined };
}

/** How long a request waits for keys, be it the first ones or newer ones. */
const LONGEST_WAIT_MS = 2000;

export interface PublishedKeysParts {
  /** Of the key set, or of the discovery document that says where it is. */
  readonly url: string;
  readonly isDiscovery: boolean;
  readonly algorithms: readonly Algorithm[];
  readonly documents: Documents;
  readonly clock: Clock;
  readonly log: Logger;
}

/** The keys of a JWK set that the control plane keeps fresh. A set that holds nothing usable changes nothing. */
export class PublishedKeys implements Keys {
  readonly #parts: PublishedKeysParts;
  #set: KeySet | undefined;
  #version = 0;
  /** What was looked at last. */
  #document: RemoteDocument | undefined;
  #text: string | undefined;
  #discovered: { readonly text: string; readonly url: string | undefined } | undefined;
  #compiling: Promise<void> | undefined;

  constructor(parts: PublishedKeysParts) {
    this.#parts = parts;
    this.#look();
  }

  /** Resolves when what is there already can be used. */
  get compiled(): Promise<void> {
    return this.#compiling ?? Promise.resolve();
  }

  get version(): number {
    this.#look();
    return this.#version;
  }

  candidates(algorithm: Algorithm, kid: string | undefined): readonly Verify[] | undefined {
    return this.#set?.candidates(algorithm, kid);
  }

  readonly renew = (done: () => void): void => {
    let isDone = false;
    const finish = () => {
      if (isDone) return;
      isDone = true;
      timer.cancel();
      done();
    };
    const timer = this.#parts.clock.after(LONGEST_WAIT_MS, finish);
    this.#refresh(() => {
      this.#look();
      void this.compiled.then(finish);
    });
  };

  #refresh(done: () => void): void {
    const { documents, url } = this.#parts;
    const where = this.#url();
    if (where !== undefined) return documents.refresh(where, done);
    documents.refresh(url, () => {
      const found = this.#url();
      if (found === undefined) done();
      else documents.refresh(found, done);
    });
  }

  /** Where the keys are; undefined while that is not known. */
  #url(): string | undefined {
    const { url, isDiscovery, documents } = this.#parts;
    if (!isDiscovery) return url;
    const text = documents.get(url)?.text;
    if (text === undefined) return undefined;
    if (this.#discovered?.text !== text) this.#discovered = { text, url: keySetUrl(text) };
    return this.#discovered.url;
  }

  #look(): void {
    const url = this.#url();
    const document = url === undefined ? undefined : this.#parts.documents.get(url);
    if (document === this.#document) return;
    this.#document = document;
    if (document?.text === undefined || document.text === this.#text) return;
    this.#text = document.text;
    const compiling = this.#compile(document.text, document.url).finally(() => {
      if (this.#compiling === compiling) this.#compiling = undefined;
    });
    this.#compiling = compiling;
  }

  async #compile(text: string, url: string): Promise<void> {
    try {
      const keys = keysFromSet(text, this.#parts.algorithms);
      if (keys.length === 0) throw new Error('no key that could be used');
      const set = await KeySet.of(keys);
      // A newer one may have come meanwhile.
      if (text !== this.#text) return;
      this.#set = set;
      this.#version++;
    } catch (error) {
      const reason = error instanceof SyntaxError ? 'not JSON' : (error as Error).message;
      const serves = this.#set === undefined ? 'nothing to verify with' : 'the keys before stay';
      this.#parts.log.warn({ event: 'key_set_unusable', url, reason }, `${url}: ${reason}; ${serves}`);
    }
  }
}

function keySetUrl(discovery: string): string | undefined {
  const { jwks_uri: url } = JSON.parse(discovery) as { jwks_uri?: unknown };
  return typeof url === 'string' ? url : undefined;
}
