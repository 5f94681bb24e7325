/**
 * Reads HTTP/1.1 answers from the bytes of one connection, strictly (RFC 9112): what is ambiguous is an error, because an
 * answer read differently by two parties is how one client is given another's (response smuggling). It hands out the
 * head as flat fields without hop-by-hop ones (RFC 9110 §7.6.1) and the body as slices of what was read.
 */

import { dropNamed, FORBIDDEN_TRAILERS, HOP_BY_HOP } from '../../hop-by-hop.ts';
import type { ResponseLimits } from '../call.ts';
import { ResponseFault } from '../faults.ts';

export interface ResponseSink {
  /** 1xx, except 101. */
  onInformation(status: number, fields: string[]): void;
  /** A 101 that was asked for. @param upgrade what it names. @param rest what followed, no longer HTTP. */
  onSwitch(fields: string[], upgrade: string | undefined, rest: Buffer): void;
  onHead(status: number, fields: string[]): void;
  /** The bytes are the parser's: copy what is kept. */
  onBody(bytes: Buffer): void;
  /** The message is whole. @param reusable whether the connection may carry another. */
  onComplete(trailers: string[] | undefined, reusable: boolean): void;
}

const State = {
  idle: 0,
  head: 1,
  length: 2,
  chunkSize: 3,
  chunkData: 4,
  chunkEnd: 5,
  trailers: 6,
  untilClose: 7,
  failed: 8,
} as const;
type State = (typeof State)[keyof typeof State];

/** Status line and fields, each line ended by CRLF; then the empty line. No folding, no bare CR or LF, no control bytes. */
const HEAD =
  /^HTTP\/1\.[01] [1-5]\d\d(?: [\t\x20-\x7e\x80-\xff]*)?\r\n(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*\r\n)*\r\n$/;
const FIELDS = /^(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*\r\n)*\r\n$/;
const CHUNK_SIZE = /^([0-9A-Fa-f]{1,13})[\t ]*(?:;[\t\x20-\x7e\x80-\xff]*)?$/;
const DIGITS = /^\d{1,15}$/;

/** Honest services send one or two. Each is passed on at once, to a client that perhaps does not read. */
const MAX_INTERIM = 32;
/** A chunk-size line with extensions is never longer in honest traffic. */
const MAX_CHUNK_LINE = 4096;
const CR = 13;
const LF = 10;
const END_OF_HEAD = Buffer.from('\r\n\r\n');

const NOTHING = Buffer.alloc(0);

export class ResponseParser {
  readonly #sink: ResponseSink;
  readonly #limits: ResponseLimits;
  #state: State = State.idle;
  /** Bytes of a head, chunk line or trailer section that is not whole yet. */
  #kept: Buffer = NOTHING;
  #withoutBody = false;
  #maySwitch = false;
  /** Body or chunk bytes still to come. */
  #left = 0;
  #reusable = true;
  #interim = 0;

  constructor(sink: ResponseSink, limits: ResponseLimits) {
    this.#sink = sink;
    this.#limits = limits;
  }

  /** Expects an answer. @param toHead the one to HEAD has no body, whatever it says. @param maySwitch it may be a 101. */
  expect(toHead: boolean, maySwitch = false): void {
    this.#state = State.head;
    this.#withoutBody = toHead;
    this.#maySwitch = maySwitch;
    this.#reusable = true;
    this.#interim = 0;
  }

  /** Whether any byte of the expected answer has been read. */
  get started(): boolean {
    return this.#state !== State.head || this.#kept.length > 0;
  }

  /** Whether the end of the connection ends the body (RFC 9112 §6.3, rule 8). */
  get endsWithConnection(): boolean {
    return this.#state === State.untilClose;
  }

  /** The connection has ended in good order. @returns whether that completes the answer. */
  finish(): boolean {
    if (this.#state !== State.untilClose) return false;
    this.#complete(undefined);
    return true;
  }

  /** Ignores whatever comes: the answer is no longer wanted. */
  stop(): void {
    this.#state = State.failed;
  }

  /** Takes what was read. @throws ResponseFault; the connection is then unusable. */
  read(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length) {
      switch (this.#state) {
        case State.head:
          at = this.#readHead(bytes, at);
          break;
        case State.length:
        case State.chunkData:
          at = this.#readBody(bytes, at);
          break;
        case State.chunkSize:
          at = this.#readChunkSize(bytes, at);
          break;
        case State.chunkEnd:
          at = this.#readChunkEnd(bytes, at);
          break;
        case State.trailers:
          at = this.#readTrailers(bytes, at);
          break;
        case State.untilClose:
          this.#sink.onBody(at === 0 ? bytes : bytes.subarray(at));
          return;
        case State.idle:
          // Bytes that nobody asked for would become the next client's answer.
          throw this.#fault('bytes after the end of an answer');
        case State.failed:
          return;
      }
    }
  }

  #readHead(bytes: Buffer, at: number): number {
    const block = this.#block(bytes, at, this.#limits.headBytes);
    if (block === undefined) return bytes.length;
    const { text, end } = block;
    if (!HEAD.test(text)) throw this.#fault('malformed head');
    const status = Number(text.slice(9, 12));
    const fields: string[] = [];
    if (status === 101) {
      this.#readSwitch(text, fields, bytes.subarray(end));
      return bytes.length;
    }
    if (status < 200) {
      if (++this.#interim > MAX_INTERIM) throw this.#fault('too many interim answers');
      this.#readFields(text, text.indexOf('\r\n') + 2, fields, HOP_BY_HOP);
      if (status !== 100) this.#sink.onInformation(status, fields);
      return end;
    }
    this.#readFinalHead(text, status, fields);
    return end;
  }

  #readSwitch(text: string, fields: string[], rest: Buffer): void {
    if (!this.#maySwitch) throw this.#fault('101 that was not asked for');
    const { upgrade } = this.#readFields(text, text.indexOf('\r\n') + 2, fields, HOP_BY_HOP);
    this.#state = State.failed;
    this.#sink.onSwitch(fields, upgrade, rest);
  }

  #readFinalHead(text: string, status: number, fields: string[]): void {
    const framing = this.#readFields(text, text.indexOf('\r\n') + 2, fields, HOP_BY_HOP);
    const { contentLength, transferEncoding, connection } = framing;
    if (transferEncoding !== undefined) {
      // RFC 9112 §6.3: both framings are an attack or a mistake; HTTP/1.0 has no chunks.
      if (contentLength !== undefined) throw this.#fault('both content-length and transfer-encoding');
      if (transferEncoding.toLowerCase() !== 'chunked') throw this.#fault('unknown transfer-encoding');
      if (text.charCodeAt(7) === 48) throw this.#fault('transfer-encoding in HTTP/1.0');
    }
    if (contentLength !== undefined && !DIGITS.test(contentLength)) throw this.#fault('malformed content-length');
    const lowered = connection?.toLowerCase();
    this.#reusable =
      text.charCodeAt(7) === 48 ? lowered === 'keep-alive' : lowered === undefined || !hasToken(lowered, 'close');

    const bodiless = this.#withoutBody || status === 204 || status === 304;
    if (bodiless) {
      // A body there would be read as the next answer: such a connection is not used again.
      if (
        !this.#withoutBody &&
        (transferEncoding !== undefined || (contentLength !== undefined && contentLength !== '0'))
      ) {
        this.#reusable = false;
      }
      if (contentLength !== undefined && status !== 204) fields.push('content-length', contentLength);
      this.#sink.onHead(status, fields);
      this.#complete(undefined);
      return;
    }
    if (transferEncoding !== undefined) {
      this.#state = State.chunkSize;
    } else if (contentLength !== undefined) {
      this.#left = Number(contentLength);
      this.#state = State.length;
      fields.push('content-length', contentLength);
    } else {
      this.#reusable = false;
      this.#state = State.untilClose;
    }
    this.#sink.onHead(status, fields);
    if (this.#state === State.length && this.#left === 0) this.#complete(undefined);
  }

  #readBody(bytes: Buffer, at: number): number {
    const take = Math.min(this.#left, bytes.length - at);
    const whole = at === 0 && take === bytes.length;
    this.#left -= take;
    // The last bytes are announced before the end, so the state moves after them.
    this.#sink.onBody(whole ? bytes : bytes.subarray(at, at + take));
    if (this.#left === 0 && this.#state === State.length) this.#complete(undefined);
    else if (this.#left === 0 && this.#state === State.chunkData) this.#state = State.chunkEnd;
    return at + take;
  }

  #readChunkSize(bytes: Buffer, at: number): number {
    const line = this.#line(bytes, at);
    if (line === undefined) return bytes.length;
    const size = CHUNK_SIZE.exec(line.text)?.[1];
    if (size === undefined) throw this.#fault('malformed chunk size');
    this.#left = Number.parseInt(size, 16);
    this.#state = this.#left === 0 ? State.trailers : State.chunkData;
    return line.end;
  }

  #readChunkEnd(bytes: Buffer, at: number): number {
    const line = this.#line(bytes, at);
    if (line === undefined) return bytes.length;
    if (line.text !== '') throw this.#fault('chunk longer than its size');
    this.#state = State.chunkSize;
    return line.end;
  }

  #readTrailers(bytes: Buffer, at: number): number {
    // Nearly always the empty line alone.
    if (this.#kept.length === 0 && bytes[at] === CR && bytes[at + 1] === LF) {
      this.#complete(undefined);
      return at + 2;
    }
    const section = this.#trailerSection(bytes, at);
    if (section === undefined) return bytes.length;
    if (!FIELDS.test(section.text)) throw this.#fault('malformed trailers');
    const trailers: string[] = [];
    this.#readFields(section.text, 0, trailers, FORBIDDEN_TRAILERS);
    this.#complete(trailers.length === 0 ? undefined : trailers);
    return section.end;
  }

  #complete(trailers: string[] | undefined): void {
    this.#state = State.idle;
    this.#sink.onComplete(trailers, this.#reusable);
  }

  /** Splits lines that were checked as a whole; framing fields are handed back, not passed on. */
  #readFields(text: string, start: number, into: string[], drop: ReadonlySet<string>): Framing {
    const framing: Framing = { contentLength: undefined, transferEncoding: undefined, connection: undefined };
    let at = start;
    let count = 0;
    while (text.charCodeAt(at) !== CR) {
      if (++count > this.#limits.fields) throw this.#fault('too many fields', 'headTooLarge');
      const colon = text.indexOf(':', at);
      const end = text.indexOf('\r\n', colon);
      const name = text.slice(at, colon);
      const value = trimmed(text, colon + 1, end);
      at = end + 2;
      const lowered = name.toLowerCase();
      if (lowered === 'content-length') {
        if (framing.contentLength !== undefined) throw this.#fault('more than one content-length');
        framing.contentLength = value;
      } else if (!drop.has(lowered)) {
        into.push(name, value);
      } else if (lowered === 'transfer-encoding') {
        if (framing.transferEncoding !== undefined) throw this.#fault('more than one transfer-encoding');
        framing.transferEncoding = value;
      } else if (lowered === 'connection') {
        framing.connection = joined(framing.connection, value);
      } else if (lowered === 'upgrade') {
        framing.upgrade = joined(framing.upgrade, value);
      }
    }
    if (framing.connection !== undefined) dropNamed(into, framing.connection, 0);
    return framing;
  }

  /** A block that ends with an empty line, once it is whole. */
  #block(bytes: Buffer, at: number, most: number): Block | undefined {
    if (this.#kept.length === 0) {
      const end = bytes.indexOf(END_OF_HEAD, at);
      if (end !== -1 && end + 4 - at <= most) return { text: bytes.toString('latin1', at, end + 4), end: end + 4 };
      if (bytes.length - at > most) throw this.#fault('head too large', 'headTooLarge');
      // Cheap early word on a peer that does not speak HTTP at all.
      if (end === -1 && bytes.length - at >= 5 && bytes.toString('latin1', at, at + 5) !== 'HTTP/')
        throw this.#fault('not HTTP');
      this.#kept = Buffer.from(bytes.subarray(at));
      this.#refuseBareLineFeed(0);
      return undefined;
    }
    const before = this.#kept.length;
    const joined = Buffer.concat([this.#kept, bytes.subarray(at, at + most - before + 1)]);
    const end = joined.indexOf(END_OF_HEAD, Math.max(0, before - 3));
    if (end === -1) {
      if (joined.length > most) throw this.#fault('head too large', 'headTooLarge');
      this.#kept = joined;
      this.#refuseBareLineFeed(before);
      return undefined;
    }
    if (end + 4 > most) throw this.#fault('head too large', 'headTooLarge');
    this.#kept = NOTHING;
    return { text: joined.toString('latin1', 0, end + 4), end: at + end + 4 - before };
  }

  /** A head with bare line feeds would be waited for until the deadline. @param from what stands before was looked at. */
  #refuseBareLineFeed(from: number): void {
    for (let at = this.#kept.indexOf(LF, from); at !== -1; at = this.#kept.indexOf(LF, at + 1)) {
      if (this.#kept[at - 1] !== CR) throw this.#fault('malformed head');
    }
  }

  #trailerSection(bytes: Buffer, at: number): Block | undefined {
    const joined = this.#kept.length === 0 ? bytes.subarray(at) : Buffer.concat([this.#kept, bytes.subarray(at)]);
    const before = this.#kept.length;
    const empty = joined[0] === CR && joined[1] === LF;
    const end = empty ? 2 : joined.indexOf(END_OF_HEAD, Math.max(0, before - 3)) + 4;
    if (!empty && end === 3) {
      if (joined.length > this.#limits.headBytes) throw this.#fault('trailers too large', 'headTooLarge');
      this.#kept = Buffer.from(joined);
      return undefined;
    }
    this.#kept = NOTHING;
    return { text: joined.toString('latin1', 0, end), end: at + end - before };
  }

  /** A line without its CRLF, once it is whole. */
  #line(bytes: Buffer, at: number): Block | undefined {
    const feed = bytes.indexOf(LF, at);
    const end = feed === -1 ? bytes.length : feed + 1;
    if (this.#kept.length + end - at > MAX_CHUNK_LINE) throw this.#fault('chunk line too long');
    if (feed === -1) {
      this.#kept = Buffer.concat([this.#kept, bytes.subarray(at)]);
      return undefined;
    }
    const text = this.#kept.toString('latin1') + bytes.toString('latin1', at, end);
    this.#kept = NOTHING;
    if (text.charCodeAt(text.length - 2) !== CR) throw this.#fault('line not ended by CRLF');
    return { text: text.slice(0, -2), end };
  }

  #fault(message: string, kind: 'protocol' | 'headTooLarge' = 'protocol'): ResponseFault {
    this.#state = State.failed;
    return new ResponseFault(kind, message);
  }
}

interface Framing {
  contentLength: string | undefined;
  transferEncoding: string | undefined;
  connection: string | undefined;
  /** Of a 101 alone. */
  upgrade?: string;
}

interface Block {
  readonly text: string;
  /** Where it ends in the bytes that were read. */
  readonly end: number;
}

/** Without optional white space around it (RFC 9110 §5.5). */
function trimmed(text: string, start: number, end: number): string {
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

function joined(before: string | undefined, value: string): string {
  return before === undefined ? value : `${before},${value}`;
}

function isBlank(code: number): boolean {
  return code === 32 || code === 9;
}

function hasToken(list: string, token: string): boolean {
  return list.includes(token) && list.split(',').some((item) => item.trim() === token);
}
