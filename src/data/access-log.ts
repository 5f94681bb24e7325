/** One JSON line per exchange, at its end, also for refusals and for clients that left. Credentials are never in it. */
import path from 'node:path';
import type { Clock, Random } from '../clock.ts';
import type { GatewayConfig } from '../config/schema.ts';
import { GRPC_STATUSES } from '../grpc/status.ts';
import type { Exchange } from './exchange.ts';
import { LineWriter } from './line-writer.ts';

/** As in pino's lines, which the control plane writes. */
const INFO = 30;

export class AccessLog {
  readonly #lines: LineWriter;
  readonly #sample: number;
  readonly #clock: Clock;
  readonly #random: Random;

  /** @param dir what a relative file name is relative to. @throws when the file cannot be opened. */
  constructor(config: GatewayConfig['accessLog'], dir: string, clock: Clock, random: Random) {
    this.#lines = new LineWriter(config.file === undefined ? undefined : path.resolve(dir, config.file), clock);
    this.#sample = config.sample;
    this.#clock = clock;
    this.#random = random;
  }

  write(exchange: Exchange, durationMs: number): void {
    const { error, client, upstream, clientLeft, grpc } = exchange;
    const isFine = error === undefined && !clientLeft && upstream?.fallback === undefined;
    if (isFine && this.#sample < 1 && this.#random() >= this.#sample) return;
    const line = {
      level: INFO,
      time: new Date(this.#clock.wall()).toISOString(),
      event: 'request',
      requestId: exchange.id,
      client: exchange.clientAddress,
      peer: client.address === exchange.clientAddress ? undefined : client.address,
      method: exchange.method,
      protocol: `HTTP/${exchange.req.httpVersion}`,
      host: exchange.authority,
      // Without the query: it is where tokens travel.
      path: exchange.path,
      status: exchange.status,
      grpcStatus: grpc && GRPC_STATUSES[grpc.outcome(error, clientLeft)],
      route: exchange.rule.name,
      pool: upstream?.pool?.name,
      endpoint: upstream?.endpoint?.url,
      fallback: upstream?.fallback,
      attempts: upstream?.endpoint === undefined ? 0 : exchange.retries + exchange.hedges + 1,
      hedged: exchange.hedges === 0 ? undefined : exchange.hedges,
      deadlineMs: deadlineOf(exchange),
      durationMs: rounded(durationMs),
      queuedMs: upstream?.queuedMs === undefined ? undefined : rounded(upstream.queuedMs),
      cache: exchange.cache === '' ? undefined : exchange.cache,
      upstreamMs: exchange.upstreamMs === 0 ? undefined : rounded(exchange.upstreamMs),
      bytesIn: exchange.bytesIn,
      bytesOut: exchange.bytesOut,
      consumer: exchange.consumer === '' ? undefined : exchange.consumer,
      principal: exchange.principal?.subject,
      auth: exchange.principal?.method,
      error: error?.type,
      reason: error?.message,
      clientLeft: clientLeft ? true : undefined,
      endedBy: exchange.tunnel?.endedBy,
      userAgent: printable(exchange.header('user-agent')),
    };
    this.#lines.write(`${JSON.stringify(line)}\n`);
  }

  /** Resolves when every line is written. */
  close(): Promise<void> {
    return this.#lines.close();
  }
}

/** How long the caller waits, from the start of the request. */
function deadlineOf({ times, startedAt, grpc }: Exchange): number | undefined {
  const afterMs = Math.min(times.deadlineAt - startedAt, grpc?.timeoutMs ?? Infinity);
  return afterMs === Infinity ? undefined : rounded(afterMs);
}

const CONTROL = /[\x7f-\x9f]/;
const EACH_CONTROL = /[\x7f-\x9f]/g;

/** JSON escapes control characters below a space; those above ASCII would still steer a terminal. */
function printable(text: string | undefined): string | undefined {
  return text !== undefined && CONTROL.test(text) ? text.replace(EACH_CONTROL, '?') : text;
}

function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
