/** One JSON line per exchange, at its end, also for refusals and for clients that left. Credentials are never in it. */
import { fstatSync } from 'node:fs';
import path from 'node:path';
import pino, { type DestinationStream } from 'pino';
import type { Random } from '../clock.ts';
import type { GatewayConfig } from '../config/schema.ts';
import type { Exchange } from './exchange.ts';

/** Lines of several threads meet in one pipe, where a write up to this size is not torn (PIPE_BUF, pipe(7)). */
const PIPE_WRITE_BYTES = 4096;
/** Appending to a file is never torn, so more can go at once. */
const FILE_WRITE_BYTES = 64 * 1024;
const STDOUT = 1;
/** A reader that does not read costs lines, not memory. */
const MAX_WAITING_BYTES = 8 * 1024 * 1024;
const FLUSH_EVERY_MS = 500;

export class AccessLog {
  readonly #log: pino.Logger;
  readonly #destination: ReturnType<typeof pino.destination>;
  readonly #sample: number;
  readonly #random: Random;

  /** @param dir what a relative file name is relative to. */
  constructor(config: GatewayConfig['accessLog'], dir: string, random: Random) {
    const writeBytes = config.file !== undefined || fstatSync(STDOUT).isFile() ? FILE_WRITE_BYTES : PIPE_WRITE_BYTES;
    this.#destination = pino.destination({
      dest: config.file === undefined ? STDOUT : path.resolve(dir, config.file),
      sync: false,
      minLength: writeBytes / 2,
      maxWrite: writeBytes,
      maxLength: MAX_WAITING_BYTES,
      periodicFlush: FLUSH_EVERY_MS,
      mkdir: true,
    });
    // A sink that is gone must not take the gateway with it.
    this.#destination.on('error', () => {});
    this.#log = pino({ base: null, timestamp: pino.stdTimeFunctions.isoTime }, this.#destination as DestinationStream);
    this.#sample = config.sample;
    this.#random = random;
  }

  write(exchange: Exchange, durationMs: number): void {
    const { error, client, upstream } = exchange;
    if (error === undefined && this.#sample < 1 && this.#random() >= this.#sample) return;
    this.#log.info({
      event: 'request',
      requestId: exchange.id,
      client: exchange.clientAddress,
      peer: client.address === exchange.clientAddress ? undefined : client.address,
      method: exchange.method,
      host: exchange.authority,
      // Without the query: it is where tokens travel.
      path: exchange.path,
      status: exchange.status,
      route: exchange.rule.name,
      pool: upstream?.pool?.name,
      endpoint: upstream?.endpoint?.url,
      attempts: upstream?.endpoint === undefined ? 0 : exchange.retries + 1,
      durationMs: rounded(durationMs),
      upstreamMs: exchange.upstreamMs === 0 ? undefined : rounded(exchange.upstreamMs),
      bytesIn: exchange.bytesIn,
      bytesOut: exchange.bytesOut,
      consumer: exchange.consumer === '' ? undefined : exchange.consumer,
      error: error?.type,
      reason: error?.message,
      clientLeft: exchange.clientLeft ? true : undefined,
      userAgent: exchange.header('user-agent'),
    });
  }

  close(): void {
    this.#destination.flushSync();
    this.#destination.end();
  }
}

function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
