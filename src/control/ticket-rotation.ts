/** New secrets for TLS session tickets, for all threads at once. They are never written down: a restart begins anew. */
import { randomBytes } from 'node:crypto';
import type { Clock, Timer } from '../clock.ts';

/** A ticket is good for five minutes: nearly all are read with the secret that they were sealed with. */
const ROTATE_MS = 3_600_000;
const SECRET_BYTES = 32;

export class TicketRotation {
  readonly #timer: Timer;
  #secrets: readonly Uint8Array[] = [randomBytes(SECRET_BYTES)];

  /** @param publish tells all threads. */
  constructor(clock: Clock, publish: (secrets: readonly Uint8Array[]) => void) {
    this.#timer = clock.every(ROTATE_MS, () => {
      this.#secrets = [randomBytes(SECRET_BYTES), this.#secrets[0]!];
      publish(this.#secrets);
    });
  }

  /** The first seals, all are read. */
  get secrets(): readonly Uint8Array[] {
    return this.#secrets;
  }

  close(): void {
    this.#timer.cancel();
  }
}
