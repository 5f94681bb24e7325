/** Which files make up a configuration, and their bytes. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { START, type Problem } from './problem.ts';

export const GATEWAY_FILE = 'gateway.yaml';
export const ROUTES_DIR = 'routes.d';
export const CONSUMERS_DIR = 'consumers.d';

export interface Source {
  /** Relative to the configuration's directory, with `/` between its parts. */
  readonly file: string;
  /** Absent when it could not be read. */
  readonly bytes?: Uint8Array;
  readonly problem?: Problem;
}

/** gateway.yaml first, if it is there, then the route files and those of consumers by name. Empty when there is nothing to read. */
export async function readSources(dir: string): Promise<Source[]> {
  const [gateway, routes, consumers] = await Promise.all([
    readSource(dir, GATEWAY_FILE),
    readFolder(dir, ROUTES_DIR),
    readFolder(dir, CONSUMERS_DIR),
  ]);
  return [gateway, ...routes, ...consumers].filter((source) => source !== undefined);
}

async function readFolder(dir: string, folder: string): Promise<(Source | undefined)[]> {
  const names = (await readdir(join(dir, folder)).catch(ignoreMissing)) ?? [];
  return Promise.all(
    names
      .filter(isConfigFile)
      .sort()
      .map((name) => readSource(dir, `${folder}/${name}`)),
  );
}

/** Dot-files are other programs' own: an editor's swap file, `..data` of a Kubernetes ConfigMap. */
const isConfigFile = (name: string) => /^[^.].*\.ya?ml$/.test(name);

export const isConsumerFile = (file: string): boolean => file.startsWith(`${CONSUMERS_DIR}/`);

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
