/** The version of this package. */
import { existsSync, readFileSync } from 'node:fs';

/** Beside `src` in a clone, beside `dist` in the published package. */
const MANIFESTS = ['../package.json', '../../package.json'];

export const VERSION = readVersion();

function readVersion(): string {
  for (const place of MANIFESTS) {
    const manifest = new URL(place, import.meta.url);
    if (existsSync(manifest)) return (JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version;
  }
  throw new Error('the package.json of the gateway is missing');
}
