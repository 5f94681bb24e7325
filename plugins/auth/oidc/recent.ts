/** What was found out lately and still holds: the least used goes first when others need the room. */
import type { Clock } from '../../../src/clock.ts';

interface Entry<Value> {
  readonly value: Value;
  /** On the wall clock. */
  readonly until: number;
  readonly bytes: number;
}

export class Recent<Value> {
  readonly #clock: Clock;
  readonly #most: number;
  readonly #mostBytes: number;
  readonly #entries = new Map<string, Entry<Value>>();
  #bytes = 0;

  constructor(clock: Clock, most: number, mostBytes: number) {
    this.#clock = clock;
    this.#most = most;
    this.#mostBytes = mostBytes;
  }

  get(key: string): Value | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    if (entry.until <= this.#clock.wall()) {
      this.delete(key);
      return undefined;
    }
    // A Map is in the order of insertion: what is used is the youngest again.
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    return entry.value;
  }

  /** @param until milliseconds since the epoch. @param bytes about what it takes. */
  set(key: string, value: Value, until: number, bytes: number): void {
    this.delete(key);
    if (bytes > this.#mostBytes || until <= this.#clock.wall()) return;
    for (const [oldest] of this.#entries) {
      if (this.#entries.size < this.#most && this.#bytes + bytes <= this.#mostBytes) break;
      this.delete(oldest);
    }
    this.#entries.set(key, { value, until, bytes });
    this.#bytes += bytes;
  }

  delete(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#bytes -= entry.bytes;
  }
}
