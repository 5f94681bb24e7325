/**
 * A steady stream of GETs, as from many clients who know nothing of each other: each is sent when it is due, however the
 * ones before it fare. Whoever is held up is measured and holds up nobody, so that no failure hides behind another.
 */
import type { Clock, Timer } from '../clock.ts';

const TICK_MS = 10;

/** What came of the requests of one stretch of time. */
export interface Spread {
  /** How many answers each port gave. */
  readonly answers: ReadonlyMap<number, number>;
  readonly failures: readonly string[];
  /** Milliseconds that the slowest took. */
  readonly slowestMs: number;
}

export class Traffic {
  readonly #url: string;
  readonly #perSecond: number;
  readonly #clock: Clock;
  readonly #begun: number;
  #sent = 0;
  #stretch = new Stretch();
  #tick: Timer;

  /** Sends until it is stopped. @param url answers with JSON that names its instance, as the demo's services do. */
  constructor(url: string, perSecond: number, clock: Clock) {
    this.#url = url;
    this.#perSecond = perSecond;
    this.#clock = clock;
    this.#begun = clock.now();
    this.#tick = clock.after(0, () => this.#sendDue());
  }

  /** What became of all that was sent since the last call; resolves when the last of it is answered. */
  async take(): Promise<Spread> {
    const stretch = this.#stretch;
    this.#stretch = new Stretch();
    await Promise.all(stretch.pending);
    return stretch;
  }

  stop(): void {
    this.#tick.cancel();
  }

  #sendDue(): void {
    const due = ((this.#clock.now() - this.#begun) / 1000) * this.#perSecond;
    for (; this.#sent < due; this.#sent++) this.#stretch.pending.push(this.#ask(this.#stretch));
    this.#tick = this.#clock.after(TICK_MS, () => this.#sendDue());
  }

  async #ask(stretch: Stretch): Promise<void> {
    const sentAt = this.#clock.now();
    try {
      const port = await answeringPort(this.#url);
      stretch.answers.set(port, (stretch.answers.get(port) ?? 0) + 1);
    } catch (error) {
      stretch.failures.push((error as Error).message);
    }
    stretch.slowestMs = Math.max(stretch.slowestMs, this.#clock.now() - sentAt);
  }
}

class Stretch implements Spread {
  readonly answers = new Map<number, number>();
  readonly failures: string[] = [];
  readonly pending: Promise<void>[] = [];
  slowestMs = 0;
}

async function answeringPort(url: string): Promise<number> {
  const response = await fetch(url);
  const text = await response.text();
  if (!response.ok) throw new Error(`${response.status}: ${text}`);
  return (JSON.parse(text) as { instance: { port: number } }).instance.port;
}
