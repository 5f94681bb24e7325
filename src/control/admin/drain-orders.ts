/** How operators take an endpoint out of service and bring it back. */
import type { FastifyInstance } from 'fastify';
import { DURATION_PATTERN, parseDuration } from '../../config/units.ts';
import { DrainRefused } from '../drains.ts';
import type { AdminView, DrainResult } from '../view.ts';

/**
 * `POST /pools/NAME/drain?endpoint=10.0.0.11:8080`, with `keepSessions=true` and `timeout=30s` as wished, and
 * `POST /pools/NAME/undrain?endpoint=…`.
 */
export function drainOrders(app: FastifyInstance, view: Pick<AdminView, 'drain' | 'undrain'>): void {
  app.post<{ Params: { pool: string } }>('/pools/:pool/drain', ({ params, url }) => {
    const wanted = readQuery(url, ['endpoint', 'keepSessions', 'timeout']);
    return follow(() =>
      view.drain(params.pool, endpointOf(wanted), {
        keepSessions: truthOf(wanted, 'keepSessions'),
        timeoutMs: durationOf(wanted, 'timeout'),
      }),
    );
  });
  app.post<{ Params: { pool: string } }>('/pools/:pool/undrain', ({ params, url }) => {
    const wanted = readQuery(url, ['endpoint']);
    return follow(() => view.undrain(params.pool, endpointOf(wanted)));
  });
}

/** Timers of Node end at 24 days, and then at once. */
const LONGEST_MS = 7 * 24 * 3_600_000;

function follow(order: () => DrainResult): DrainResult {
  try {
    return order();
  } catch (error) {
    throw error instanceof DrainRefused ? refusal(error.message) : error;
  }
}

function readQuery(url: string, known: readonly string[]): URLSearchParams {
  const query = new URL(url, 'http://admin').searchParams;
  for (const name of query.keys()) {
    if (!known.includes(name)) throw refusal(`'${name}' is none of ${known.join(', ')}`);
    if (query.getAll(name).length > 1) throw refusal(`'${name}' is said twice`);
  }
  return query;
}

function endpointOf(query: URLSearchParams): string {
  const endpoint = query.get('endpoint') ?? '';
  if (endpoint === '') throw refusal('say which: endpoint=10.0.0.11:8080');
  return endpoint;
}

function truthOf(query: URLSearchParams, name: string): boolean {
  const written = query.get(name) ?? 'false';
  if (written !== 'true' && written !== 'false') throw refusal(`${name}: '${written}' is neither true nor false`);
  return written === 'true';
}

function durationOf(query: URLSearchParams, name: string): number | undefined {
  const written = query.get(name);
  if (written === null) return undefined;
  if (!DURATION_PATTERN.test(written)) throw refusal(`${name}: '${written}' is not a duration such as 30s`);
  const ms = parseDuration(written);
  if (ms > LONGEST_MS) throw refusal(`${name}: '${written}' is longer than a week`);
  return ms;
}

/** Rendered by the server's error handler. */
function refusal(message: string): Error {
  return Object.assign(new Error(message), { statusCode: 400 });
}
