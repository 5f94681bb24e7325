/**
 * What connections read into. Each has one buffer and uses it again and again; a body too large to be worth a copy is
 * passed on as it lies there, and the connection reads on into another until the client's side has let go. So a download
 * moves through a few buffers, instead of leaving a trail of garbage behind.
 */

/** Room for 64 KiB with a head before them: a body of a round size shall be one read, and so one write, not two. */
const READ_BYTES = 80 * 1024;
/** Per thread. Pages that were never read into cost nothing. */
const MAX_SPARE = 64;

const spare: ReadBuffer[] = [];

export class ReadBuffer {
  readonly bytes = Buffer.allocUnsafeSlow(READ_BYTES);
  #keepers = 0;
  #isConnected = true;

  static take(): ReadBuffer {
    const buffer = spare.pop() ?? new ReadBuffer();
    buffer.#isConnected = true;
    return buffer;
  }

  /** Somebody still needs what was read: nothing may be read over it. */
  get isKept(): boolean {
    return this.#keepers > 0;
  }

  keep(): void {
    this.#keepers++;
  }

  /** By whoever kept it, once. */
  readonly release = (): void => {
    this.#keepers--;
    this.#giveBack();
  };

  /** Its connection reads into another one from now on, or no more. */
  disconnect(): void {
    this.#isConnected = false;
    this.#giveBack();
  }

  #giveBack(): void {
    if (this.#keepers === 0 && !this.#isConnected && spare.length < MAX_SPARE) spare.push(this);
  }
}
