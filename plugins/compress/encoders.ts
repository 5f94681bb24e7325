/**
 * The three codings on node:zlib. A stream does its work on libuv's threads, off the event loop; what is small and whole is
 * compressed at once, which costs less than going there: 20 to 90 µs for 1 to 8 KiB, beside 50 for the way alone. Even at
 * the highest levels that are allowed it takes less than 0.3 ms.
 */
import {
  brotliCompressSync,
  constants,
  createBrotliCompress,
  createGzip,
  createZstdCompress,
  gzipSync,
  zstdCompressSync,
} from 'node:zlib';
import type { Transform } from 'node:stream';
import type { Coding } from './accept-encoding.ts';

export type EncoderStream = Transform & { flush(kind: number, done: () => void): void };

export interface Encoder {
  readonly coding: Coding;
  /** What makes everything that went in come out. */
  readonly flushKind: number;
  /** @param body up to `MOST_WHOLE_BYTES`. */
  compress(body: Buffer): Buffer;
  open(): EncoderStream;
}

export const MOST_WHOLE_BYTES = 8 * 1024;
/** Of MOST_WHOLE_BYTES: zlib would clear a quarter of a megabyte for each otherwise. */
const WHOLE_WINDOW_BITS = 13;

/**
 * How far back a stream looks, as a power of two: what bounds its memory. Nearly all of the gain is in 256 KiB, and every
 * client has that much (RFC 9659 for zstd).
 */
const WINDOW_BITS = 18;

/**
 * Where zstd looks things up. Its own choice is made for files: clearing a megabyte of tables cost an answer of 64 KiB twice as
 * much as compressing it, and gained a hundredth at a MiB. At higher levels more of them is what the level is for.
 */
const tableBits = (level: number) => (level < 5 ? 15 : 17);

export function compileEncoder(coding: Coding, level: number): Encoder {
  switch (coding) {
    case 'gzip': {
      const options = { level };
      const wholeOptions = { level, windowBits: WHOLE_WINDOW_BITS };
      return {
        coding,
        flushKind: constants.Z_SYNC_FLUSH,
        compress: (body) => gzipSync(body, wholeOptions),
        open: () => createGzip(options),
      };
    }
    case 'br': {
      const params = {
        [constants.BROTLI_PARAM_QUALITY]: level,
        [constants.BROTLI_PARAM_LGWIN]: WINDOW_BITS,
      };
      return {
        coding,
        flushKind: constants.BROTLI_OPERATION_FLUSH,
        compress: (body) => brotliCompressSync(body, { params }),
        open: () => createBrotliCompress({ params }),
      };
    }
    case 'zstd': {
      const params = {
        [constants.ZSTD_c_compressionLevel]: level,
        [constants.ZSTD_c_windowLog]: WINDOW_BITS,
        [constants.ZSTD_c_hashLog]: tableBits(level),
        [constants.ZSTD_c_chainLog]: tableBits(level),
      };
      return {
        coding,
        flushKind: constants.ZSTD_e_flush,
        compress: (body) => zstdCompressSync(body, { params, pledgedSrcSize: body.length }),
        open: () => createZstdCompress({ params }),
      };
    }
  }
}
