import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { Contestant } from './contestant.ts';

const app = fileURLToPath(new URL('../peers/fastify-http-proxy.ts', import.meta.url));

export const fastifyHttpProxy: Contestant = {
  name: 'fastify-http-proxy',
  version: installed('@fastify/http-proxy'),
  configure: ({ port, origins }) => ({ argv: [process.execPath, app, String(port), ...origins.map(String)] }),
};

function installed(name: string): string | undefined {
  try {
    return (createRequire(import.meta.url)(`${name}/package.json`) as { version: string }).version;
  } catch {
    return undefined;
  }
}
