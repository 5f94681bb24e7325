/** Whether a side is still there: whoever is pinged sends something before the next time. A pong, or what it was sending. */
export class Heartbeat {
  readonly #received: () => number;
  #before = -1;

  /** @param received bytes that came from it in all. */
  constructor(received: () => number) {
    this.#received = received;
  }

  /** @param isHeard whether we read what it sends, and it what we do. @returns false: nothing came since the last ping. */
  beat(isHeard: boolean, ping: () => void): boolean {
    const received = this.#received();
    const isSilent = received === this.#before;
    // Of one that cannot answer yet nothing is known.
    this.#before = isHeard ? received : -1;
    if (isHeard && isSilent) return false;
    if (isHeard) ping();
    return true;
  }
}
