/** Which files make up a configuration, and their bytes. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { START, type Problem } from './problem.ts';

export const GATEWAY_FILE = 'gateway.yaml';
export const ROUTES_DIR = 'routes.d';

export interface Source {
  /** Relative to the configuration's directory, with `/` between its parts. */
  readonly file: string;
  /** Absent when it could not be read. */
  readonly bytes?: Uint8Array;
  readonly problem?: Problem;
}

/** gateway.yaml first, if it is there, then the route files by name. Empty when there is nothing to read. */
export async function readSources(dir: string): Promise<Source[]> {
  const [gateway, names] = await Promise.all([readSource(dir, GATEWAY_FILE), routeFileNames(dir)]);
  const routes = await Promise.all(names.map((name) => readSource(dir, `${ROUTES_DIR}/${name}`)));
  return [gateway, ...routes].filter((source) => source !== undefined);
}

/** Dot-files are other programs' own: an editor's swap file, `..data` of a Kubernetes ConfigMap. */
async function routeFileNames(dir: string): Promise<string[]> {
  const names = await readdir(join(dir, ROUTES_DIR)).catch(ignoreMissing);
  return (names ?? []).filter((name) => /^[^.].*\.ya?ml$/.test(name)).sort();
}

async function readSource(dir: string, file: string): Promise<Source | undefined> {
  try {
    const bytes = await readFile(join(dir, file)).catch(ignoreMissing);
    return bytes === undefined ? undefined : { file, bytes };
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
    return { file, problem: { severity: 'error', file, ...START, message: `the file cannot be read: ${reason}` } };
  }
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  // ENOTDIR: a file where a directory was expected is as good as nothing there.
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
  throw error;
}
