/**
 * Any number of consumers in memory that all threads share: their text, and a table that leads from what a client sends
 * to whose it is. A thread takes it over by reference, in no time, and makes objects of those alone who come by; a
 * hundred thousand of them as objects would be 75 MB and 0.4 s of standstill for each thread.
 */
import type { ConsumerConfig } from '../config/schema.ts';
import { normalForm } from '../credentials/password-hash.ts';
import { hashString } from '../upstream/choice/string-hash.ts';

export interface SharedConsumers {
  readonly count: number;
  /** One after the other, each as JSON in UTF-8. */
  readonly text: SharedArrayBuffer;
  /** Where each begins, and where the last one ends. */
  readonly starts: SharedArrayBuffer;
  /** Pairs: hash of a name or credential, and 1 + whose it is; 0: free. A power of two of them, at most half in use. */
  readonly slots: SharedArrayBuffer;
  /** Those who are known by conditions, which no table can find. */
  readonly withTokens: readonly number[];
  readonly withCertificates: readonly number[];
}

/** What a consumer can be found by, each with a seed of its own: one may have the name of another as its username. */
const SEEDS = { name: 1, apiKey: 2, username: 3, signatureKey: 4 } as const;
export type LookupKind = keyof typeof SEEDS;

const hashOf = (kind: LookupKind, value: string) => hashString(value, SEEDS[kind]);

function lookupsOf({ name, apiKeys, basic, signatureKeys }: ConsumerConfig): number[] {
  return [
    hashOf('name', name),
    ...apiKeys.map(({ sha256 }) => hashOf('apiKey', sha256)),
    ...basic.map(({ username }) => hashOf('username', normalForm(username))),
    ...signatureKeys.map(({ id }) => hashOf('signatureKey', id)),
  ];
}

export function shareConsumers(consumers: readonly ConsumerConfig[]): SharedConsumers {
  const encoded = consumers.map((consumer) => Buffer.from(JSON.stringify(consumer)));
  const text = new SharedArrayBuffer(encoded.reduce((sum, { length }) => sum + length, 0));
  const starts = new SharedArrayBuffer(4 * (consumers.length + 1));
  const bytes = new Uint8Array(text);
  const begins = new Uint32Array(starts);
  encoded.forEach((part, at) => {
    bytes.set(part, begins[at]!);
    begins[at + 1] = begins[at]! + part.length;
  });
  const lookups = consumers.map(lookupsOf);
  return {
    count: consumers.length,
    text,
    starts,
    slots: fillSlots(lookups),
    withTokens: indexesOf(consumers, ({ jwt }) => jwt.length > 0),
    withCertificates: indexesOf(consumers, ({ certificates }) => certificates.length > 0),
  };
}

function fillSlots(lookups: readonly (readonly number[])[]): SharedArrayBuffer {
  const used = lookups.reduce((sum, { length }) => sum + length, 0);
  const size = 2 ** Math.ceil(Math.log2(2 * used + 1));
  const slots = new SharedArrayBuffer(8 * size);
  const words = new Uint32Array(slots);
  lookups.forEach((hashes, consumer) => {
    for (const hash of hashes) {
      let slot = hash & (size - 1);
      while (words[2 * slot + 1] !== 0) slot = (slot + 1) & (size - 1);
      words[2 * slot] = hash;
      words[2 * slot + 1] = consumer + 1;
    }
  });
  return slots;
}

function indexesOf(consumers: readonly ConsumerConfig[], holds: (consumer: ConsumerConfig) => boolean): number[] {
  return consumers.flatMap((consumer, index) => (holds(consumer) ? [index] : []));
}

/** Objects that a thread keeps; when there are more, it begins anew. */
const MOST_KEPT = 10_000;

/** The view of one thread. */
export class ConsumerReader {
  readonly #shared: SharedConsumers;
  readonly #text: Buffer;
  readonly #starts: Uint32Array;
  readonly #slots: Uint32Array;
  readonly #mask: number;
  readonly #kept = new Map<number, ConsumerConfig>();

  constructor(shared: SharedConsumers) {
    this.#shared = shared;
    this.#text = Buffer.from(shared.text);
    this.#starts = new Uint32Array(shared.starts);
    this.#slots = new Uint32Array(shared.slots);
    this.#mask = this.#slots.length / 2 - 1;
  }

  /** @param pick what was looked for, in a consumer that may have it: different values can have one hash. */
  find<Found>(
    kind: LookupKind,
    value: string,
    pick: (consumer: ConsumerConfig, value: string) => Found | undefined,
  ): Found | undefined {
    const hash = hashOf(kind, value);
    for (let slot = hash & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const owner = this.#slots[2 * slot + 1]!;
      if (owner === 0) return undefined;
      if (this.#slots[2 * slot] !== hash) continue;
      const found = pick(this.#consumer(owner - 1), value);
      if (found !== undefined) return found;
    }
  }

  /** In their order. */
  withTokens(): ConsumerConfig[] {
    return this.#shared.withTokens.map((index) => this.#parse(index));
  }

  withCertificates(): ConsumerConfig[] {
    return this.#shared.withCertificates.map((index) => this.#parse(index));
  }

  #consumer(index: number): ConsumerConfig {
    let consumer = this.#kept.get(index);
    if (consumer !== undefined) return consumer;
    if (this.#kept.size >= MOST_KEPT) this.#kept.clear();
    this.#kept.set(index, (consumer = this.#parse(index)));
    return consumer;
  }

  #parse(index: number): ConsumerConfig {
    return JSON.parse(this.#text.toString('utf8', this.#starts[index], this.#starts[index + 1])) as ConsumerConfig;
  }
}
