/**
 * Runs a job again and again, never twice at once. Who asks while one runs waits for the next, together with everyone else
 * who does: the job reads the state of the world when it starts, so one run answers for all of them.
 */
export class LatestOnly<Input, Result> {
  readonly #job: (input: Input) => Promise<Result>;
  #running: Promise<Result> | undefined;
  #waiting: { input: Input; readonly result: Promise<Result> } | undefined;

  constructor(job: (input: Input) => Promise<Result>) {
    this.#job = job;
  }

  /** Of several inputs that wait the last one counts. */
  run(input: Input): Promise<Result> {
    if (this.#waiting !== undefined) {
      this.#waiting.input = input;
      return this.#waiting.result;
    }
    if (this.#running === undefined) return this.#start(input);
    const result = this.#afterwards(this.#running);
    this.#waiting = { input, result };
    return result;
  }

  async #afterwards(running: Promise<Result>): Promise<Result> {
    await running.catch(() => {});
    const { input } = this.#waiting!;
    this.#waiting = undefined;
    return this.#start(input);
  }

  #start(input: Input): Promise<Result> {
    const result = this.#job(input);
    this.#running = result;
    const over = (): void => {
      if (this.#running === result) this.#running = undefined;
    };
    result.then(over, over);
    return result;
  }
}
