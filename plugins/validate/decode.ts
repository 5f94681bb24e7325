/**
 * Content codings, undone only to look at what they hold; what is forwarded stays as it was sent. Bounded in size, in
 * depth, and in how many are under way at a time, so that small bodies cannot be made to fill the memory.
 */
import {
  brotliDecompress,
  constants,
  gunzip,
  inflate,
  zstdDecompress,
  type BrotliOptions,
  type ZlibOptions,
  type ZstdOptions,
} from 'node:zlib';
import { GatewayError } from '../../src/errors.ts';

export type Coding = 'gzip' | 'deflate' | 'br' | 'zstd';

const MOST_CODINGS = 2;
const MOST_AT_A_TIME = 4;
const LARGEST_RATIO = 100;
/** Small bodies may be of any ratio. */
const ALWAYS_ALLOWED = 64 * 1024;

/** @returns in the order in which they were applied. @throws GatewayError 415 */
export function parseCodings(field: string | undefined): readonly Coding[] {
  if (field === undefined) return [];
  const codings = field
    .split(',')
    .map((coding) => coding.trim().toLowerCase())
    .filter((coding) => coding !== 'identity' && coding !== '')
    .map((coding) => (coding === 'x-gzip' ? 'gzip' : coding));
  if (codings.length > MOST_CODINGS) throw refuseCoding(`At most ${MOST_CODINGS} content codings are undone.`);
  const strange = codings.find((coding) => !Object.hasOwn(DECODERS, coding));
  if (strange !== undefined) throw refuseCoding('The content coding of the body is not known here.');
  return codings as Coding[];
}

function refuseCoding(detail: string): GatewayError {
  return new GatewayError('http_request_denied', detail, {
    status: 415,
    detail,
    // RFC 9110 §12.5.3
    fields: ['accept-encoding', 'gzip, deflate, br, zstd'],
  });
}

type OnDecoded = (error: GatewayError | undefined, bytes: Buffer) => void;

/**
 * @param most bytes that the result may have.
 * @param isWanted asked when its turn comes: who sends and leaves must not keep the others waiting.
 * @param done called once; never, when it is no longer wanted.
 */
export function decode(
  bytes: Buffer,
  codings: readonly Coding[],
  most: number,
  isWanted: () => boolean,
  done: OnDecoded,
): void {
  if (codings.length === 0) return done(undefined, bytes);
  const begin = () => {
    const limit = Math.min(most, Math.max(ALWAYS_ALLOWED, bytes.length * LARGEST_RATIO));
    undo(bytes, codings, limit, (error, decoded) => {
      underWay--;
      beginNext();
      done(error, decoded);
    });
    underWay++;
  };
  if (underWay < MOST_AT_A_TIME) begin();
  else waiting.push({ isWanted, begin });
}

/** Of this thread. */
let underWay = 0;
const waiting: { readonly isWanted: () => boolean; readonly begin: () => void }[] = [];

function beginNext(): void {
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) if (next.isWanted()) return next.begin();
}

function undo(bytes: Buffer, codings: readonly Coding[], limit: number, done: OnDecoded): void {
  const coding = codings.at(-1);
  if (coding === undefined) return done(undefined, bytes);
  DECODERS[coding](bytes, limit, (error, result) => {
    if (error === null) {
      const { buffer, engine } = result as unknown as { buffer: Buffer; engine: { bytesWritten: number } };
      // What stands behind the end, each reader treats in its own way.
      if (engine.bytesWritten === bytes.length) return undo(buffer, codings.slice(0, -1), limit, done);
    }
    done(refusal(error, coding, limit), bytes);
  });
}

type Decoder = (
  bytes: Buffer,
  limit: number,
  done: (error: NodeJS.ErrnoException | null, result: Buffer) => void,
) => void;

/** With `info` the result is an object of buffer and engine. */
const options = (maxOutputLength: number) => ({ maxOutputLength, info: true });

const DECODERS: Readonly<Record<Coding, Decoder>> = {
  gzip: (bytes, limit, done) => gunzip(bytes, options(limit) as ZlibOptions, done),
  // RFC 9110 §8.4.1.2: the zlib format; bare deflate is not what it names.
  deflate: (bytes, limit, done) => inflate(bytes, options(limit) as ZlibOptions, done),
  br: (bytes, limit, done) => brotliDecompress(bytes, options(limit) as BrotliOptions, done),
  // RFC 9659: a window of at most 8 MiB.
  zstd: (bytes, limit, done) =>
    zstdDecompress(bytes, { ...options(limit), params: { [constants.ZSTD_d_windowLogMax]: 23 } } as ZstdOptions, done),
};

function refusal(error: NodeJS.ErrnoException | null, coding: Coding, limit: number): GatewayError {
  if (error?.code === 'ERR_BUFFER_TOO_LARGE') {
    return new GatewayError('http_request_denied', `body over ${limit} bytes once decoded`, {
      status: 413,
      detail: `The body is larger than ${limit} bytes once decoded (validate.maxDecoded, or ${LARGEST_RATIO} times its size).`,
    });
  }
  return new GatewayError('http_request_denied', `body is not ${coding}`, {
    status: 400,
    detail: `The body is not what its content coding says: not exactly one ${coding} stream.`,
    ...(error === null ? {} : { cause: error }),
  });
}
