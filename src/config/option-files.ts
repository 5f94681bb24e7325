/**
 * Files that options of a plugin name: schemas, API documents. They are read when the configuration is, and what they hold
 * becomes part of it: so it has its share in the revision, and every thread compiles the same. A route file that is set
 * back to its last good version takes with it what these files held then.
 */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseDocument } from 'yaml';
import { fileFault } from './file-fault.ts';
import { decode, hashOf } from './read.ts';

/** What a plugin may ask for while its options are resolved. */
export interface OptionFiles {
  /**
   * What a file of JSON or YAML (by its name) holds, the same object each time.
   * @param path relative to the configuration's directory. @throws Error with a sentence that names the file.
   */
  data(path: string): unknown;
  /** What a file of text holds, a key in PEM. As above. */
  text(path: string): string;
}

/** By full path. */
export type AttachedFiles = Map<string, AttachedFile>;

/** `text`, or why there is none. */
interface AttachedFile {
  readonly digest: string;
  readonly text?: string;
  readonly fault?: string;
  /** `text` as JSON or YAML, once it was asked for. */
  parsed?: Parsed;
}

interface Parsed {
  readonly data?: unknown;
  readonly fault?: string;
}

/** @param attached what was read before, added to. */
export function optionFiles(dir: string, attached: AttachedFiles): OptionFiles {
  const read = (path: string): AttachedFile & { readonly text: string } => {
    const full = resolve(dir, path);
    let found = attached.get(full);
    if (found === undefined) attached.set(full, (found = readFile(path, dir)));
    const { text, fault } = found;
    if (text === undefined) throw new Error(fault);
    return found as AttachedFile & { readonly text: string };
  };
  return {
    data(path) {
      const found = read(path);
      found.parsed ??= parse(path, found.text);
      if (found.parsed.fault !== undefined) throw new Error(found.parsed.fault);
      return found.parsed.data;
    },
    text: (path) => read(path).text,
  };
}

function readFile(path: string, dir: string): AttachedFile {
  const fault = fileFault(path, dir);
  if (fault !== undefined) return { digest: '', fault };
  let digest = '';
  try {
    const bytes = readFileSync(resolve(dir, path));
    digest = hashOf(bytes);
    const { text, problems } = decode(path, bytes);
    return text === undefined ? { digest, fault: `${path}: ${problems[0]?.message}` } : { digest, text };
  } catch (error) {
    return { digest, fault: `${path}: ${(error as Error).message}` };
  }
}

function parse(path: string, text: string): Parsed {
  const isJson = path.endsWith('.json');
  try {
    const { data = null, fault } = isJson ? { data: JSON.parse(text) as unknown } : parseYaml(path, text);
    // Aliases of YAML can hold themselves; and what cannot be written could not cross to the threads either.
    return fault === undefined ? { data: JSON.parse(JSON.stringify(data)) as unknown } : { fault };
  } catch (error) {
    return { fault: `${path}: not valid ${isJson ? 'JSON' : 'YAML'}: ${(error as Error).message.split('\n')[0]}` };
  }
}

function parseYaml(path: string, text: string): Parsed {
  const document = parseDocument(text, { prettyErrors: true });
  const [error] = document.errors;
  if (error !== undefined) {
    const { line = 1, col = 1 } = error.linePos?.[0] ?? {};
    return { fault: `${path}:${line}:${col}: not valid YAML: ${error.message.split('\n')[0]}` };
  }
  return { data: document.toJS({ maxAliasCount: 100 }) as unknown };
}
