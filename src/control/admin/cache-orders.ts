/** What operators may ask of the cache and order it. */
import type { FastifyInstance } from 'fastify';
import { PurgeRefused } from '../../cache/purge.ts';
import type { AdminView } from '../view.ts';

/** `POST /cache/purge?url=…&prefix=…&tag=…`, each as often as needed; `GET /cache`. */
export function cacheOrders(app: FastifyInstance, view: Pick<AdminView, 'cacheTable' | 'purgeCache'>): void {
  app.get('/cache', () => view.cacheTable.stats);
  app.post('/cache/purge', async (request) => {
    const wanted = new URL(request.url, 'http://admin').searchParams;
    const unknown = [...wanted.keys()].find((name) => !['url', 'prefix', 'tag'].includes(name));
    if (unknown !== undefined) throw refusal(`'${unknown}' is none of url, prefix, tag`);
    const [url, prefix, tag] = ['url', 'prefix', 'tag'].map((name) => wanted.getAll(name)) as [
      string[],
      string[],
      string[],
    ];
    try {
      return await view.purgeCache({ url, prefix, tag });
    } catch (error) {
      throw error instanceof PurgeRefused ? refusal(error.message) : error;
    }
  });
}

/** Rendered by the server's error handler. */
function refusal(message: string): Error {
  return Object.assign(new Error(message), { statusCode: 400 });
}
