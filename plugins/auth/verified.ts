/**
 * What was verified already: credentials that are dear to verify are remembered with who they are, until they expire,
 * until anything of the consumers changes, or until others need the room. Only what was right is remembered, so whoever
 * sends junk pushes nobody out; of the right ones those that were not seen lately go first.
 */
import type { Clock } from '../../src/clock.ts';
import type { ConsumerDirectory } from '../../src/data/consumers.ts';
import type { Principal } from '../../src/data/principal.ts';

interface Verified {
  readonly principal: Principal;
  /** On the wall clock: credentials expire by it. */
  readonly until: number;
  readonly version: number;
  /** Since it was last passed over. */
  seen: boolean;
}

/** Of the credentials' text; what they say takes about as much again. */
const MOST_BYTES = 8 * 1024 * 1024;
/** How many that were seen are passed over for one that was not. */
const MOST_PASSED_OVER = 8;

export class VerifiedCredentials {
  readonly #clock: Clock;
  readonly #consumers: ConsumerDirectory;
  readonly #most: number;
  readonly #mostBytes: number;
  readonly #known = new Map<string, Verified>();
  #bytes = 0;

  /** @param most how many; 0 remembers nothing. */
  constructor(clock: Clock, consumers: ConsumerDirectory, most: number, mostBytes = MOST_BYTES) {
    this.#clock = clock;
    this.#consumers = consumers;
    this.#most = most;
    this.#mostBytes = mostBytes;
  }

  get size(): number {
    return this.#known.size;
  }

  get(credential: string): Principal | undefined {
    const verified = this.#known.get(credential);
    if (verified === undefined) return undefined;
    if (verified.until > this.#clock.wall() && verified.version === this.#consumers.version) {
      verified.seen = true;
      return verified.principal;
    }
    this.#forget(credential);
    return undefined;
  }

  /** @param until milliseconds since the epoch. */
  remember(credential: string, principal: Principal, until: number): void {
    this.#forget(credential);
    if (this.#most === 0 || credential.length > this.#mostBytes) return;
    while (this.#known.size >= this.#most || this.#bytes + credential.length > this.#mostBytes) this.#makeRoom();
    this.#known.set(credential, { principal, until, version: this.#consumers.version, seen: false });
    this.#bytes += credential.length;
  }

  /** What they were verified with is no longer good: keys of an issuer have changed. */
  clear(): void {
    this.#known.clear();
    this.#bytes = 0;
  }

  /** The oldest that was not seen since it was last passed over; after a few the next, so that this stays short. */
  #makeRoom(): void {
    let passedOver = 0;
    for (const [credential, verified] of this.#known) {
      this.#forget(credential);
      if (!verified.seen || passedOver++ === MOST_PASSED_OVER) return;
      verified.seen = false;
      this.#known.set(credential, verified);
      this.#bytes += credential.length;
    }
  }

  #forget(credential: string): void {
    if (this.#known.delete(credential)) this.#bytes -= credential.length;
  }
}
