/**
 * One seat of the data plane: the number is fixed, the thread that sits on it may die and be replaced. Turns the line's
 * messages into questions with answers, and bounds every answer: a thread that does not answer is ended.
 */
import type { Clock } from '../clock.ts';
import type { FromThread, GenerationPlan, ListenerConfig, ToThread } from '../data/messages.ts';
import type { ThreadLine } from './thread-line.ts';
import type { ThreadView } from './view.ts';

/** For a thread that compiles, listens or starts. */
export const ANSWER_WITHIN_MS = 10_000;
/** What a drained thread may take beyond its deadline to say so: it waits for the WebSockets that it then tells to go. */
const DRAIN_GRACE_MS = 900;

export interface SeatParts {
  readonly thread: number;
  readonly clock: Clock;
  readonly spawn: () => ThreadLine;
  /** Everything that is not the answer to a question. */
  readonly onMessage: (message: FromThread) => void;
  /** The thread has ended; the seat is `down`. */
  readonly onGone: (cause: Error) => void;
}

interface Question {
  /** Whether the message was its answer. */
  readonly hear: (message: FromThread) => boolean;
  readonly fail: (cause: Error) => void;
}

export class DataThread {
  readonly thread: number;
  /** The generation it serves, and the one that it could serve when told. */
  serving: number | undefined;
  prepared: number | undefined;
  /** When the thread was started, on the clock's scale. */
  startedAt = 0;
  #starts = 0;
  #state: ThreadView['state'] = 'down';
  #since: number;
  #line: ThreadLine | undefined;
  /** What ended the thread before. */
  #lastEnd = new Error('it was not started');
  readonly #parts: SeatParts;
  readonly #questions = new Set<Question>();

  constructor(parts: SeatParts) {
    this.#parts = parts;
    this.thread = parts.thread;
    this.#since = parts.clock.wall();
  }

  get isUp(): boolean {
    return this.#state === 'up';
  }

  get view(): ThreadView {
    return { thread: this.thread, state: this.#state, restarts: Math.max(0, this.#starts - 1), since: this.#since };
  }

  /** Starts a thread on the empty seat. */
  start(): void {
    this.#become('starting');
    this.#starts += 1;
    this.startedAt = this.#parts.clock.now();
    const line = this.#parts.spawn();
    this.#line = line;
    line.onMessage((message) => this.#receive(message));
    line.onExit((cause) => this.#gone(cause));
  }

  /** It listens and serves. */
  up(): void {
    this.#become('up');
  }

  /** Compiles a generation. Rejects when the thread refuses it, dies over it, or takes too long. */
  async prepare(plan: GenerationPlan): Promise<void> {
    await this.#ask<true>({ kind: 'prepare', plan }, ANSWER_WITHIN_MS, (message) => {
      if (message.kind === 'refused' && message.id === plan.id) return new Error(message.reason);
      return message.kind === 'prepared' && message.id === plan.id ? true : undefined;
    });
    this.prepared = plan.id;
  }

  /** Serves the prepared generation from the next request on. */
  commit(id: number): void {
    this.serving = id;
    this.#line?.send({ kind: 'commit', id });
  }

  /** Something that needs no answer. */
  tell(message: ToThread): void {
    this.#line?.send(message);
  }

  discard(id: number): void {
    this.prepared = undefined;
    this.#line?.send({ kind: 'discard', id });
  }

  /** @returns the actual ports, in the order of the listeners. */
  listen(listeners: readonly ListenerConfig[], reusePort: boolean): Promise<readonly number[]> {
    return this.#ask({ kind: 'listen', listeners, reusePort }, ANSWER_WITHIN_MS, (message) =>
      message.kind === 'listening' ? message.ports : undefined,
    );
  }

  /** Answers end their connections at once; after the delay it takes no new ones. @returns how many exchanges were cut at the deadline. */
  drain(delayMs: number, timeoutMs: number): Promise<number> {
    const withinMs = delayMs + timeoutMs + DRAIN_GRACE_MS;
    return this.#ask({ kind: 'drain', delayMs, timeoutMs }, withinMs, (message) =>
      message.kind === 'drained' ? message.cut : undefined,
    );
  }

  /** Ends the thread at once. */
  async terminate(): Promise<void> {
    await this.#line?.terminate();
  }

  #ask<Answer>(
    question: ToThread,
    withinMs: number,
    answerIn: (message: FromThread) => Answer | Error | undefined,
  ): Promise<Answer> {
    const line = this.#line;
    if (line === undefined) return Promise.reject(this.#died(this.#lastEnd));
    return new Promise((resolve, reject) => {
      const settle = (answer: Answer | Error): void => {
        timeout.cancel();
        this.#questions.delete(waiting);
        if (answer instanceof Error) reject(answer);
        else resolve(answer);
      };
      const waiting: Question = {
        hear: (message) => {
          const answer = answerIn(message);
          if (answer !== undefined) settle(answer);
          return answer !== undefined;
        },
        fail: (cause) => settle(this.#died(cause)),
      };
      const timeout = this.#parts.clock.after(withinMs, () => {
        settle(new Error(`data thread ${this.thread} did not answer '${question.kind}' within ${withinMs} ms`));
        void line.terminate();
      });
      this.#questions.add(waiting);
      line.send(question);
    });
  }

  #receive(message: FromThread): void {
    for (const question of this.#questions) if (question.hear(message)) return;
    this.#parts.onMessage(message);
  }

  #gone(cause: Error): void {
    this.#line = undefined;
    this.#lastEnd = cause;
    this.serving = undefined;
    this.prepared = undefined;
    this.#become('down');
    for (const question of this.#questions) question.fail(cause);
    this.#parts.onGone(cause);
  }

  #died(cause: Error): Error {
    return new Error(`data thread ${this.thread} is down: ${cause.message}`, { cause });
  }

  #become(state: ThreadView['state']): void {
    this.#state = state;
    this.#since = this.#parts.clock.wall();
  }
}
