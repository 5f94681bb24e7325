import { fileURLToPath } from 'node:url';
import type { Contestant } from './contestant.ts';

const app = fileURLToPath(new URL('../peers/answer.ts', import.meta.url));

/** A node:http server that proxies nothing: what Node costs before a gateway does anything. Ratios are to this one. */
export const floor: Contestant = {
  name: 'floor',
  version: process.versions.node,
  configure: ({ port }) => ({ argv: [process.execPath, app, String(port)] }),
};
