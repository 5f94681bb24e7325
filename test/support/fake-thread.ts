/** A data thread without a thread: for tests of the control plane alone. */
import type { ThreadLine } from '../../src/control/thread-line.ts';
import type { FromThread, ThreadData, ToThread } from '../../src/data/messages.ts';
import { settle } from './fake-clock.ts';

/** Answers as a good thread would, unless told otherwise. */
export class FakeThread implements ThreadLine {
  readonly data: ThreadData;
  readonly heard: ToThread[] = [];
  isAlive = true;
  isMute = false;
  refusal: string | undefined;
  #receive: (message: FromThread) => void = () => {};
  #gone: (cause: Error) => void = () => {};

  constructor(data: ThreadData) {
    this.data = data;
  }

  onMessage(receive: (message: FromThread) => void): void {
    this.#receive = receive;
  }

  onExit(gone: (cause: Error) => void): void {
    this.#gone = gone;
  }

  send(message: ToThread): void {
    this.heard.push(message);
    if (this.isMute) return;
    setImmediate(() => this.#answer(message));
  }

  say(message: FromThread): void {
    if (this.isAlive) this.#receive(message);
  }

  /** What the thread does by itself. */
  die(reason: string): void {
    if (!this.isAlive) return;
    this.isAlive = false;
    this.#gone(new Error(reason));
  }

  async terminate(): Promise<void> {
    await settle();
    this.die('terminated');
  }

  beat(): void {
    Atomics.add(new Int32Array(this.data.heartbeats), this.data.thread, 1);
  }

  kinds(): string[] {
    return this.heard.map((message) => ('id' in message ? `${message.kind} ${message.id}` : message.kind));
  }

  #answer(message: ToThread): void {
    if (this.isMute) return;
    if (message.kind === 'prepare') {
      const { id } = message.plan;
      this.say(this.refusal === undefined ? { kind: 'prepared', id } : { kind: 'refused', id, reason: this.refusal });
    } else if (message.kind === 'listen') {
      this.say({ kind: 'listening', ports: message.listeners.map(({ port }, at) => port || 40_000 + at) });
    } else if (message.kind === 'drain') {
      this.say({ kind: 'drained', cut: this.data.thread + 1 });
    }
  }
}
