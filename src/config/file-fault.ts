/** Whether a file that the configuration names can be one. */
import { statSync } from 'node:fs';
import { isAbsolute, relative, resolve } from 'node:path';

/** A relative path stays below the directory, so that a route file cannot reach into its neighbours. */
export function fileFault(path: string, dir: string): string | undefined {
  const full = resolve(dir, path);
  if (!isAbsolute(path) && relative(dir, full).startsWith('..')) {
    return `'${path}' leads out of the configuration's directory: write an absolute path if that is meant`;
  }
  const found = statSync(full, { throwIfNoEntry: false });
  if (found === undefined) return `file '${path}' does not exist`;
  return found.isFile() ? undefined : `'${path}' is not a file`;
}
