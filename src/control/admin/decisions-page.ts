/** `GET /decisions`, the last requests that failed or asked, and `GET /decisions/ID`, one of them. */
import type { FastifyInstance } from 'fastify';
import { redact } from '../../config/redact.ts';
import type { DecisionFilter } from '../decisions.ts';
import type { AdminView } from '../view.ts';

const DEFAULT_LIMIT = 20;
const FILTERS = ['route', 'pool', 'status', 'recorded', 'limit'] as const;

export function decisionsPage(app: FastifyInstance, view: Pick<AdminView, 'decisions' | 'secrets'>): void {
  app.get('/decisions', (request) => {
    const { limit, ...filter } = filterOf(new URL(request.url, 'http://admin').searchParams);
    const { recorded, dropped } = view.decisions.counts;
    return redact({ recorded, dropped, decisions: view.decisions.list(filter, limit) }, view.secrets);
  });
  app.get<{ Params: { id: string } }>('/decisions/:id', (request) => {
    const found = view.decisions.of(request.params.id);
    if (found !== undefined) return redact(found, view.secrets);
    throw refusal(404, 'no decision with this request id is kept: those that failed or asked are, the last of them');
  });
}

/** @throws what the server's error handler renders. */
function filterOf(query: URLSearchParams): DecisionFilter & { readonly limit: number } {
  const unknown = [...query.keys()].find((name) => !(FILTERS as readonly string[]).includes(name));
  if (unknown !== undefined) throw refusal(400, `'${unknown}' is none of ${FILTERS.join(', ')}`);
  const [route, pool, status, recorded, limit] = FILTERS.map((name) => query.get(name) ?? undefined);
  if (status !== undefined && !/^(?:\d{3}|[1-5]xx|0)$/.test(status)) {
    throw refusal(400, `status is one such as 503, or 5xx, not '${status}'`);
  }
  if (recorded !== undefined && recorded !== 'failed' && recorded !== 'asked') {
    throw refusal(400, `recorded is failed or asked, not '${recorded}'`);
  }
  if (limit !== undefined && !/^[1-9]\d{0,3}$/.test(limit)) throw refusal(400, `limit is a number, not '${limit}'`);
  return { route, pool, status, recorded, limit: limit === undefined ? DEFAULT_LIMIT : Number(limit) };
}

/** Rendered by the server's error handler. */
function refusal(statusCode: number, message: string): Error {
  return Object.assign(new Error(message), { statusCode });
}
