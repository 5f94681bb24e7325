/**
 * Load that judges: kept-alive clients that send one request after another, and hold every answer against what was
 * asked. Built on undici's own pool, as a service that calls another through the gateway would be.
 */
import { Pool } from 'undici';
import type { Echo } from './upstream.ts';

export interface LoadOptions {
  readonly clients?: number;
  readonly method?: 'GET' | 'POST';
  readonly path?: string;
  readonly host?: string;
  /** A fresh connection for every request: what a reload must never refuse. */
  readonly fresh?: boolean;
  /** Pause between the requests of one client, to bound the rate on a shared machine. */
  readonly everyMs?: number;
}

export interface Load {
  /** Answers that were right. */
  readonly served: number;
  /** What went wrong, each with its request's number; the first fifty. */
  readonly failures: readonly string[];
  readonly failed: number;
  /** Answers by instance. */
  readonly byInstance: Readonly<Record<string, number>>;
  /** Milliseconds of the slowest answer. */
  readonly slowestMs: number;
  /** Lets every client finish its request, then resolves. */
  stop(): Promise<void>;
}

/** Starts to send; the load runs until it is stopped. */
export function startLoad(url: string, options: LoadOptions = {}): Load {
  const { clients = 8, method = 'GET', path = '/orders/1', host, fresh = false, everyMs = 0 } = options;
  const pool = new Pool(url, { connections: clients, pipelining: fresh ? 0 : 1 });
  const failures: string[] = [];
  const byInstance: Record<string, number> = {};
  const load = { served: 0, failures, failed: 0, byInstance, slowestMs: 0, stop };
  let running = true;
  let number = 0;
  const running$ = Promise.all(Array.from({ length: clients }, client));

  async function client(): Promise<void> {
    while (running) {
      await one(number++);
      if (everyMs > 0) await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
  }

  async function one(at: number): Promise<void> {
    const token = `${method}-${at}`;
    const start = performance.now();
    try {
      const { statusCode, body } = await pool.request({
        method,
        path: `${path}?n=${at}`,
        reset: fresh,
        headers: { 'x-token': token, ...(host === undefined ? {} : { host }) },
        ...(method === 'POST' ? { body: token } : {}),
        headersTimeout: 10_000,
        bodyTimeout: 10_000,
      });
      const text = await body.text();
      load.slowestMs = Math.max(load.slowestMs, performance.now() - start);
      if (statusCode !== 200) return fail(at, `${statusCode} ${text.slice(0, 200)}`);
      const echo = JSON.parse(text) as Echo;
      if (!echo.fields.includes(token)) return fail(at, 'the answer to another request');
      load.served += 1;
      byInstance[echo.instance] = (byInstance[echo.instance] ?? 0) + 1;
    } catch (error) {
      const { code, message } = error as Error & { code?: string };
      fail(at, `${code ?? ''} ${message}`);
    }
  }

  function fail(at: number, why: string): void {
    load.failed += 1;
    if (failures.length < 50) failures.push(`#${at}: ${why}`);
  }

  async function stop(): Promise<void> {
    running = false;
    await running$;
    await pool.destroy();
  }

  return load;
}
