/**
 * A strict HTTP/1.1 reader for both ends of a test (RFC 9112). It accepts only what a careful sender writes, so that
 * whatever the gateway emits is judged, not repaired: a message is whole, not yet whole, or malformed.
 */

export interface Message {
  readonly startLine: string;
  /** Flat, as they arrived: name, value, name, value … */
  readonly fields: readonly string[];
  readonly body: Buffer;
  readonly trailers: readonly string[];
  readonly framing: 'none' | 'length' | 'chunked' | 'close';
}

export interface Read {
  readonly message: Message;
  /** What stands behind the message. */
  readonly rest: Buffer;
}

export class MalformedMessage extends Error {
  override readonly name = 'MalformedMessage';
}

const REQUEST_LINE = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+ \S+ HTTP\/1\.[01]$/;
const STATUS_LINE = /^HTTP\/1\.1 [1-5]\d\d( [\t\x20-\x7e\x80-\xff]*)?$/;
const FIELD_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** A request at the start of `bytes`; undefined while it is not whole. */
export function readRequest(bytes: Buffer): Read | undefined {
  const head = readHead(bytes, REQUEST_LINE);
  return head && readBody(head, framingOf(head.fields) ?? { kind: 'none' });
}

/**
 * A response at the start of `bytes`; undefined while it is not whole.
 * @param method of the request: the answer to a HEAD has no body.
 * @param ended whether the sender has closed, which ends a body without framing.
 */
export function readResponse(bytes: Buffer, method: string, ended: boolean): Read | undefined {
  const head = readHead(bytes, STATUS_LINE);
  if (head === undefined) return undefined;
  const status = statusOf(head.startLine);
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304) return readBody(head, { kind: 'none' });
  return readBody(head, framingOf(head.fields) ?? { kind: 'close', ended });
}

export function statusOf(startLine: string): number {
  return Number(startLine.slice(9, 12));
}

/** All values of a field, in their order. @param name in lower case. */
export function valuesOf(fields: readonly string[], name: string): string[] {
  return fields.filter((_, at) => at % 2 === 1 && fields[at - 1]!.toLowerCase() === name);
}

interface Head {
  readonly startLine: string;
  readonly fields: string[];
  readonly rest: Buffer;
}

type Framing =
  | { readonly kind: 'none' }
  | { readonly kind: 'length'; readonly length: number }
  | { readonly kind: 'chunked' }
  | { readonly kind: 'close'; readonly ended: boolean };

function readHead(bytes: Buffer, startLinePattern: RegExp): Head | undefined {
  const end = bytes.indexOf('\r\n\r\n');
  if (end === -1) return undefined;
  const [startLine = '', ...lines] = bytes.toString('latin1', 0, end).split('\r\n');
  if (!startLinePattern.test(startLine)) throw new MalformedMessage(`start line ${JSON.stringify(startLine)}`);
  return { startLine, fields: readFields(lines), rest: bytes.subarray(end + 4) };
}

function readFields(lines: readonly string[]): string[] {
  return lines.flatMap((line) => {
    const colon = line.indexOf(':');
    const name = line.slice(0, Math.max(colon, 0));
    const value = line.slice(colon + 1);
    if (!FIELD_NAME.test(name) || !FIELD_VALUE.test(value)) {
      throw new MalformedMessage(`field line ${JSON.stringify(line)}`);
    }
    return [name, value.trim()];
  });
}

/** RFC 9112 §6.3: one way to tell the length, or it is a smuggling attempt. */
function framingOf(fields: readonly string[]): Framing | undefined {
  const codings = valuesOf(fields, 'transfer-encoding');
  const lengths = valuesOf(fields, 'content-length');
  if (codings.length + lengths.length > 1) throw new MalformedMessage('more than one framing');
  if (codings.length === 1) {
    if (codings[0]!.toLowerCase() !== 'chunked') throw new MalformedMessage(`transfer-encoding ${codings[0]}`);
    return { kind: 'chunked' };
  }
  if (lengths.length === 0) return undefined;
  if (!/^\d{1,15}$/.test(lengths[0]!)) throw new MalformedMessage(`content-length ${lengths[0]}`);
  return { kind: 'length', length: Number(lengths[0]) };
}

function readBody(head: Head, framing: Framing): Read | undefined {
  const { startLine, fields, rest } = head;
  const whole = (body: Buffer, after: Buffer, trailers: string[] = []): Read => ({
    message: { startLine, fields, body, trailers, framing: framing.kind },
    rest: after,
  });
  switch (framing.kind) {
    case 'none':
      return whole(Buffer.alloc(0), rest);
    case 'length':
      if (rest.length < framing.length) return undefined;
      return whole(rest.subarray(0, framing.length), rest.subarray(framing.length));
    case 'close':
      return framing.ended ? whole(rest, Buffer.alloc(0)) : undefined;
    case 'chunked': {
      const chunks = readChunks(rest);
      return chunks && whole(chunks.body, chunks.rest, chunks.trailers);
    }
  }
}

function readChunks(bytes: Buffer): { body: Buffer; trailers: string[]; rest: Buffer } | undefined {
  const chunks: Buffer[] = [];
  let at = 0;
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at);
    if (lineEnd === -1) return undefined;
    const line = bytes.toString('latin1', at, lineEnd);
    if (!/^[0-9a-fA-F]{1,12}$/.test(line)) throw new MalformedMessage(`chunk size ${JSON.stringify(line)}`);
    const size = parseInt(line, 16);
    at = lineEnd + 2;
    if (size === 0) return readTrailers(bytes, at, Buffer.concat(chunks));
    if (bytes.length < at + size + 2) return undefined;
    if (bytes.toString('latin1', at + size, at + size + 2) !== '\r\n')
      throw new MalformedMessage('chunk not ended by CRLF');
    chunks.push(bytes.subarray(at, at + size));
    at += size + 2;
  }
}

function readTrailers(bytes: Buffer, at: number, body: Buffer) {
  if (bytes.toString('latin1', at, at + 2) === '\r\n') return { body, trailers: [], rest: bytes.subarray(at + 2) };
  const end = bytes.indexOf('\r\n\r\n', at);
  if (end === -1) return undefined;
  const lines = bytes.toString('latin1', at, end).split('\r\n');
  return { body, trailers: readFields(lines), rest: bytes.subarray(end + 4) };
}
