/**
 * Files that hold one value each, as orchestrators mount secrets: `${file:/run/secrets/x}`. Only directories that are
 * meant for it are read, however the path is written and whatever it links to: who may write a route file must not be
 * able to read the machine.
 */
import { readFileSync, realpathSync } from 'node:fs';
import { resolve, sep } from 'node:path';
import { hashOf } from './read.ts';
import type { Environment } from './placeholders.ts';

const MOST_BYTES = 64 * 1024;
const ALWAYS = ['/run/secrets', '/var/run/secrets'];

export interface SecretFile {
  /** Without the line end that most tools put behind it. */
  readonly value: string;
  readonly path: string;
  readonly digest: string;
}

export interface SecretFileFault {
  readonly message: string;
  readonly hint?: string;
}

export type SecretFiles = (name: string) => SecretFile | SecretFileFault;

/** Reads below the configuration's own directory, where secrets are mounted, and what AYA_SECRETS_PATH lists. */
export function secretFiles(dir: string, env: Environment): SecretFiles {
  const further = [env['CREDENTIALS_DIRECTORY'], ...(env['AYA_SECRETS_PATH'] ?? '').split(':')];
  const named = [dir, ...ALWAYS, ...further.filter((path) => path !== undefined && path !== '')] as string[];
  return (name) => {
    const path = resolve(dir, name);
    // Both as written and as it really is: a link out of the directory is a way out.
    if (!isBelow(path, named)) return refuse(name, named);
    try {
      const real = realpathSync(path);
      if (!isBelow(real, named.flatMap(realDirectory))) return refuse(name, named);
      const bytes = readFileSync(real);
      if (bytes.length > MOST_BYTES) return { message: `file '${name}' is larger than ${MOST_BYTES / 1024} KiB` };
      const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
      if (text.includes('\0')) return { message: `file '${name}' is not text` };
      return { value: text.replace(/\r?\n$/, ''), path, digest: hashOf(bytes) };
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA') return { message: `file '${name}' is not UTF-8` };
      return { message: `file '${name}' cannot be read: ${code ?? 'unknown reason'}` };
    }
  };
}

function isBelow(path: string, directories: readonly string[]): boolean {
  return directories.some((directory) => path.startsWith(directory.endsWith(sep) ? directory : directory + sep));
}

function realDirectory(path: string): string[] {
  try {
    return [realpathSync(path)];
  } catch {
    return [];
  }
}

function refuse(name: string, directories: readonly string[]): SecretFileFault {
  return {
    message: `file '${name}' is not in a directory for secrets`,
    hint: `${directories.slice(1).join(', ')}, or below the configuration; AYA_SECRETS_PATH names others`,
  };
}
