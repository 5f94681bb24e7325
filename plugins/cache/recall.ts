/**
 * One question to the store that gateways share, for all who want the same and found nothing in memory. Nobody waits longer
 * than the store's timeout: then it is as if nothing were stored.
 */
import type { FleetCache, Recalled } from '../../src/cache/fleet-cache.ts';
import type { StoredAnswer } from '../../src/cache/stored-answer.ts';
import type { Clock } from '../../src/clock.ts';
import type { Permit } from '../../src/store/redis-answers.ts';
import type { Counter } from '../../src/memory/counter-table.ts';
import type { Reader, Source } from './reader.ts';
import { variantOf } from './vary.ts';

export const RESULTS = ['hit', 'miss', 'failed'] as const;
export type Asks = Readonly<Record<(typeof RESULTS)[number], Counter>>;

/** What the store knows about one reader's question. */
export interface Memory {
  readonly answer: (StoredAnswer & { readonly body: Buffer }) | undefined;
  /** undefined: the store did not tell, and is not to be told of the answer. */
  readonly permit: Permit | undefined;
}

export interface RecallParts {
  readonly fleet: FleetCache;
  readonly clock: Clock;
  readonly asks: Asks;
  /** An answer of the store is there, for the memory. */
  readonly onFound: (recalled: Recalled) => void;
  /** Called for each reader that is still there. */
  readonly onKnown: (reader: Reader, memory: Memory) => void;
  /** Nobody can join any more. */
  readonly onOver: (recall: Recall) => void;
}

const UNKNOWN: Memory = { answer: undefined, permit: undefined };

export class Recall implements Source {
  readonly key: string;
  readonly #url: string;
  readonly #parts: RecallParts;
  readonly #deadline: number;
  #readers: Reader[];

  constructor(first: Reader, parts: RecallParts) {
    const { key, url } = first.purpose;
    this.key = key;
    this.#url = url;
    this.#parts = parts;
    this.#deadline = parts.clock.now() + parts.fleet.timeoutMs;
    this.#readers = [first];
    first.source = this;
  }

  start(): void {
    this.#ask('', (recalled) => {
      this.#parts.onOver(this);
      const readers = this.#readers;
      // Where fields choose, each asks for its own, those of one spelling together.
      if (recalled?.vary === undefined) return this.#tell(readers, recalled);
      const { vary } = recalled;
      const groups = Map.groupBy(readers, (reader) => variantOf(vary, reader.request.fields));
      for (const [variant, group] of groups) {
        this.#ask(variant, (chosen) => this.#tell(group, chosen ?? { ...recalled, answer: undefined }));
      }
    });
  }

  join(reader: Reader): void {
    reader.source = this;
    this.#readers.push(reader);
  }

  #ask(variant: string, done: (recalled: Recalled | undefined) => void): void {
    const { fleet, clock } = this.#parts;
    const leftMs = Math.max(1, Math.ceil(this.#deadline - clock.now()));
    fleet.recall({ key: this.key, variant, url: this.#url }, leftMs, done);
  }

  #tell(readers: readonly Reader[], recalled: Recalled | undefined): void {
    const { asks, onFound } = this.#parts;
    (recalled === undefined ? asks.failed : recalled.answer === undefined ? asks.miss : asks.hit).increment();
    if (recalled?.answer !== undefined) onFound(recalled);
    for (const reader of readers) {
      if (reader.isOver) continue;
      reader.source = undefined;
      this.#parts.onKnown(reader, recalled ?? UNKNOWN);
    }
  }

  // --- Source: nothing flows yet ---

  pause(): void {}

  resume(): void {}

  keepBytes(): () => void {
    return () => {};
  }

  leave(reader: Reader): void {
    this.#readers = this.#readers.filter((other) => other !== reader);
  }
}
