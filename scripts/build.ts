/**
 * `npm run build`: src and plugins as JavaScript with their types, in dist/, for publishing and for the image. It
 * translates and judges nothing: that is `npm run types`, which runs before anything is packed.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../', import.meta.url));
const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');

// Nothing of what was deleted or renamed since the last build may be scanned as a plugin.
rmSync(new URL('../dist/', import.meta.url), { recursive: true, force: true });
const { status } = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' });
if (status !== 0) process.exit(1);
chmodSync(new URL('../dist/src/main.js', import.meta.url), 0o755);
