/**
 * Who still holds which generation: the threads that have requests on it, and the control plane while it may serve. One
 * that nobody holds is released: its endpoints and routes give back their rows.
 */
const CONTROL_PLANE = -1;

export class GenerationHolders {
  readonly #holders = new Map<number, Set<number>>();
  readonly #onReleased: (generation: number) => void;

  constructor(onReleased: (generation: number) => void) {
    this.#onReleased = onReleased;
  }

  get generations(): number {
    return this.#holders.size;
  }

  /** The generation serves or may soon: it stays also while no thread is up. */
  keep(generation: number): void {
    this.hold(generation, CONTROL_PLANE);
  }

  /** Another one serves: it stays only as long as a thread has requests on it. */
  supersede(generation: number): void {
    this.release(generation, CONTROL_PLANE);
  }

  hold(generation: number, thread: number): void {
    const holders = this.#holders.get(generation);
    if (holders === undefined) this.#holders.set(generation, new Set([thread]));
    else holders.add(thread);
  }

  /** The thread has no request of the generation left. */
  release(generation: number, thread: number): void {
    const holders = this.#holders.get(generation);
    if (holders === undefined) return;
    holders.delete(thread);
    if (holders.size === 0) this.drop(generation);
  }

  /** The thread is gone, and with it everything that it held. */
  releaseThread(thread: number): void {
    for (const generation of [...this.#holders.keys()]) this.release(generation, thread);
  }

  /** Nobody serves from it, whoever held it. */
  drop(generation: number): void {
    if (this.#holders.delete(generation)) this.#onReleased(generation);
  }
}
