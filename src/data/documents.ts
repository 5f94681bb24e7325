/**
 * Documents of other servers that the gateway needs (keys of issuers, discovery documents). The control plane fetches
 * each once for all threads and keeps it fresh; a thread has the newest version that came, however old.
 */
import type { Clock } from '../clock.ts';

export interface RemoteDocument {
  readonly url: string;
  /** Undefined until it could be fetched for the first time. */
  readonly text: string | undefined;
  /** Counts up with each new text; 0: there was none yet. */
  readonly version: number;
  /** Why the latest fetch failed; undefined when it did not, or is the first and still going on. */
  readonly failure: string | undefined;
  /** When it was last asked for, on the clock's own scale, which all threads share. */
  readonly askedAt: number;
}

/** Nobody makes us ask a server more often than this, whatever they send. */
export const COOLDOWN_MS = 30_000;

export class Documents {
  readonly #known = new Map<string, RemoteDocument>();
  readonly #waiting = new Map<string, (() => void)[]>();
  readonly #ask: (url: string) => void;
  readonly #clock: Clock;

  /** @param ask tells the control plane that a newer version is wanted; it bounds how often it really fetches. */
  constructor(ask: (url: string) => void, clock: Clock) {
    this.#ask = ask;
    this.#clock = clock;
  }

  get(url: string): RemoteDocument | undefined {
    return this.#known.get(url);
  }

  /**
   * Something is missing in what is there. `done` is called when the control plane has answered, with or without news; at
   * once when it was asked so lately that it would have none: a flood of questions ends in this thread.
   */
  refresh(url: string, done: () => void): void {
    const waiting = this.#waiting.get(url);
    if (waiting !== undefined) return void waiting.push(done);
    if (this.#isRecent(url)) return done();
    this.#waiting.set(url, [done]);
    this.#ask(url);
  }

  /** News from the control plane, or its word that there are none. */
  receive(document: RemoteDocument): void {
    this.#known.set(document.url, document);
    const waiting = this.#waiting.get(document.url) ?? [];
    this.#waiting.delete(document.url);
    for (const done of waiting) done();
  }

  #isRecent(url: string): boolean {
    const known = this.#known.get(url);
    const isAnswered = known?.text !== undefined || known?.failure !== undefined;
    return isAnswered && this.#clock.now() - known.askedAt < COOLDOWN_MS;
  }
}
