/**
 * How many streams a thread compresses at once. Each costs memory for as long as its client takes, and clients choose both:
 * what is over the bound goes as it is. All routes of a thread, of all generations, count together.
 */
let taken = 0;

export class Slots {
  readonly #most: number;

  constructor(most: number) {
    this.#most = most;
  }

  /** @returns whether there was one; it is then given back by `giveBack`, once. */
  take(): boolean {
    if (taken >= this.#most) return false;
    taken++;
    return true;
  }

  giveBack(): void {
    taken--;
  }
}
