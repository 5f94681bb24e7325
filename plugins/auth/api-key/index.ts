/**
 * API keys: the gateway keeps their hashes, finds the consumer by the hash of what came, and passes no key on.
 *
 * Constant time by construction: no key is ever compared with another. What a clock could learn from the look-up is about
 * the SHA-256 of the guess, which says nothing of the keys whose hashes lie beside it, and nobody can walk towards one.
 */
import type { Clock } from '../../../src/clock.ts';
import { hashApiKey, isWellFormed } from '../../../src/credentials/api-key.ts';
import type { ConsumerDirectory } from '../../../src/data/consumers.ts';
import type { Exchange } from '../../../src/data/exchange.ts';
import type { Principal } from '../../../src/data/principal.ts';
import { withholdCookie, withholdField, withholdParameter } from '../../../src/data/withhold.ts';
import { defineMethod, type Authenticator } from '../method.ts';
import { Refusal } from '../refusal.ts';
import type { ApiKeyOptions } from './schema.ts';
import { sentKeys } from './sent-keys.ts';

export default defineMethod<ApiKeyOptions>({
  name: 'apiKey',
  create: (options, { consumers, clock }) => new ApiKeys(options, consumers, clock),
});

const SEVERAL = new Refusal('invalid', 'more than one key was sent');
const MALFORMED = new Refusal('invalid', 'what was sent is no key: its characters or its checksum are wrong');
const UNKNOWN = new Refusal('invalid', 'no consumer has this key');
const EXPIRED = new Refusal('expired', 'the key has expired');

class ApiKeys implements Authenticator {
  readonly name = 'apiKey';
  readonly challenge = 'ApiKey';
  readonly #options: ApiKeyOptions;
  readonly #field: string;
  readonly #consumers: ConsumerDirectory;
  readonly #clock: Clock;

  constructor(options: ApiKeyOptions, consumers: ConsumerDirectory, clock: Clock) {
    this.#options = options;
    this.#field = options.header.toLowerCase();
    this.#consumers = consumers;
    this.#clock = clock;
  }

  carries(exchange: Exchange): boolean {
    return sentKeys(exchange, this.#field, this.#options).length > 0;
  }

  withhold({ upstream }: Exchange): void {
    const { query, cookie, forward } = this.#options;
    if (forward) return;
    if (this.#field !== 'authorization') withholdField(upstream, this.#field);
    if (query !== undefined) withholdParameter(upstream, query);
    if (cookie !== undefined) withholdCookie(upstream, cookie);
  }

  authenticate(exchange: Exchange): Principal | Refusal {
    const keys = sentKeys(exchange, this.#field, this.#options);
    if (keys.length !== 1) return SEVERAL;
    const { key, ambient } = keys[0]!;
    if (!isWellFormed(key)) return MALFORMED;
    const found = this.#consumers.byApiKey(hashApiKey(key));
    if (found === undefined) return UNKNOWN;
    const { consumer, credential } = found;
    if (credential.expires !== undefined && credential.expires <= this.#clock.wall()) return EXPIRED;
    // Only now: behind Bearer it may have been another method's.
    if (!this.#options.forward && this.#field === 'authorization') withholdField(exchange.upstream, this.#field);
    return {
      method: this.name,
      subject: credential.id ?? consumer.name,
      consumer,
      groups: consumer.groups,
      scopes: [],
      claims: {},
      ambient,
    };
  }
}
