/**
 * Cache-Control as @fastify/caching writes it. Its hook runs in onSend, which answers of services never pass; but what it
 * says depends on the route's options alone. So it is asked once, when the route is compiled (docs/decisions/0015).
 */
import type { ClientCacheOptions } from './schema.ts';

interface Policy {
  readonly privacy: ClientCacheOptions['privacy'];
  readonly expiresIn?: number | undefined;
  readonly serverExpiresIn?: number | undefined;
}

/** Most routes say the same. */
const known = new Map<string, Promise<string>>();
const MOST_KNOWN = 1_000;

export function renderCacheControl({ privacy, expiresIn, serverExpiresIn }: Policy): Promise<string> {
  const options = {
    privacy,
    ...(expiresIn === undefined ? {} : { expiresIn: Math.floor(expiresIn / 1000) }),
    ...(serverExpiresIn === undefined ? {} : { serverExpiresIn: Math.floor(serverExpiresIn / 1000) }),
  };
  const shape = JSON.stringify(options);
  const rendered = known.get(shape) ?? ask(options);
  if (known.size < MOST_KNOWN) known.set(shape, rendered);
  return rendered;
}

async function ask(options: { privacy: string; expiresIn?: number; serverExpiresIn?: number }): Promise<string> {
  const [{ fastify }, { default: caching }] = await Promise.all([import('fastify'), import('@fastify/caching')]);
  const app = fastify({ logger: false });
  await app.register(caching, options);
  app.get('/', (_request, reply) => reply.send('an answer of a service'));
  const { headers } = await app.inject('/');
  await app.close();
  return String(headers['cache-control']);
}
