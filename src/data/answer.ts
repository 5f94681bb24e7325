/**
 * The answer on its way to the client. Its head waits for the first bytes of its body, so that both leave in one write;
 * an answer that is whole at once, and small, is a single write.
 */
import type { ClientResponse } from './client-message.ts';
import type { Control } from './dispatch.ts';

/** A complete answer up to this size leaves in one write, head and body as one string. */
const ONE_WRITE_BYTES = 16 * 1024;

/** Below this a copy costs less than a buffer that is not free for the next read. */
const KEEP_FROM_BYTES = 16 * 1024;

const EVENT_STREAM = 'text/event-stream';

export class Answer {
  readonly #res: ClientResponse;
  #status = 0;
  /** A head that waits. */
  #fields: string[] | null = null;
  /** A whole body that waits for its end. */
  #whole: string | null = null;
  /** Announced length of the body; -1 when unknown. */
  #length = -1;
  #edits: ((fields: string[]) => void)[] | null = null;
  #onDrained: (() => void) | null = null;

  constructor(res: ClientResponse) {
    this.#res = res;
  }

  addEdit(edit: (fields: string[]) => void): void {
    (this.#edits ??= []).push(edit);
  }

  /** Takes a head from the upstream and keeps it back. */
  hold(status: number, fields: string[]): void {
    this.#length = announcedLength(fields);
    this.edit(fields);
    this.replace(status, fields);
  }

  edit(fields: string[]): void {
    if (this.#edits !== null) for (const edit of this.#edits) edit(fields);
  }

  /** A head of our own, in place of one that may have waited. */
  replace(status: number, fields: string[]): void {
    this.#status = status;
    this.#fields = fields;
    this.#whole = null;
  }

  get isHeld(): boolean {
    return this.#fields !== null;
  }

  /** Whether a body of known length follows the head. */
  get hasLength(): boolean {
    return this.#length > 0;
  }

  sendHead(isLast: boolean): void {
    const fields = this.#fields!;
    this.#fields = null;
    if (isLast) fields.push('connection', 'close');
    try {
      this.#res.writeHead(this.#status, fields);
    } catch (error) {
      // A hook has put into it what no field may hold. Its client must not wait for what will never come.
      this.#res.destroy();
      throw error;
    }
  }

  /** Keeps a small body back that is whole with these bytes: its end follows at once. @returns whether it did. */
  keepWhole(bytes: Buffer): boolean {
    if (this.#fields === null || bytes.length !== this.#length || bytes.length > ONE_WRITE_BYTES) return false;
    this.#whole = bytes.toString('latin1');
    return true;
  }

  /** @returns whether the client takes more; if not, `onceDrained` says when. */
  write(bytes: Buffer, upstream: Control): boolean {
    // The connection reads over its bytes, and the client's side may need them for a while.
    if (bytes.length < KEEP_FROM_BYTES) return this.#res.write(Buffer.from(bytes));
    return this.#res.write(bytes, upstream.keepBytes());
  }

  onceDrained(resume: () => void): void {
    if (this.#onDrained === null) this.#res.on('drain', () => this.#onDrained?.());
    this.#onDrained = resume;
  }

  end(trailers: string[] | undefined): void {
    if (trailers !== undefined) this.#res.addTrailers(pairs(trailers));
    if (this.#whole === null) this.#res.end();
    else this.#res.end(this.#whole, 'latin1');
  }
}

export function isEventStream(fields: readonly string[]): boolean {
  for (let at = 0; at < fields.length; at += 2) {
    if (fields[at]!.length !== 12 || !fields[at + 1]!.startsWith(EVENT_STREAM)) continue;
    if (fields[at]!.toLowerCase() === 'content-type') return true;
  }
  return false;
}

function announcedLength(fields: readonly string[]): number {
  for (let at = 0; at < fields.length; at += 2) {
    if (fields[at]!.length === 14 && fields[at]!.toLowerCase() === 'content-length') return Number(fields[at + 1]);
  }
  return -1;
}

function pairs(flat: readonly string[]): [string, string][] {
  const result: [string, string][] = [];
  for (let at = 0; at < flat.length; at += 2) result.push([flat[at]!, flat[at + 1]!]);
  return result;
}
