/**
 * The bytes of one file → a document. Everything a hostile or damaged file could do to its reader ends here: bombs,
 * twice-written keys, prototype keys, other encodings, endless nesting.
 */
import { createHash } from 'node:crypto';
import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  parseAllDocuments,
  Scalar,
  type Document as YamlDocument,
  type Node,
  type Pair,
} from 'yaml';
import { child, Document } from './document.ts';
import { fillPlaceholders, plainScalar, type Environment, type EnvironmentValue } from './placeholders.ts';
import { START, type Position, type Problem } from './problem.ts';
import type { SecretFiles } from './secret-files.ts';

export const MAX_FILE_BYTES = 1024 * 1024;
const MAX_DEPTH = 32;
const TOO_DEEP = `nested more than ${MAX_DEPTH} levels deep`;
/** One mistake can make a parser complain of every line after it. */
const MAX_SYNTAX_ERRORS = 10;
/** Nobody reads more. */
const MAX_PROBLEMS = 100;

export interface Read {
  /** Absent when the text could not be read at all. */
  readonly document?: Document;
  readonly problems: readonly Problem[];
}

/** Bytes → text. UTF-8 without NUL, of a stated size; a byte order mark is fine. */
export function decode(
  file: string,
  bytes: Uint8Array,
): { readonly text?: string; readonly problems: readonly Problem[] } {
  const refuse = (message: string, position: Position = START) => ({
    problems: [{ severity: 'error' as const, file, ...position, message }],
  });
  if (bytes.length > MAX_FILE_BYTES) return refuse(`the file is larger than ${MAX_FILE_BYTES / 1024 / 1024} MiB`);
  const nul = bytes.indexOf(0);
  if (nul !== -1)
    return refuse('the file holds a NUL byte: is it text?', positionIn(Buffer.from(bytes).toString('latin1'), nul));
  try {
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(bytes), problems: [] };
  } catch {
    return refuse('the file is not UTF-8');
  }
}

export function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** @param secrets for `${file:…}`. */
export function readDocument(file: string, text: string, env: Environment, secrets?: SecretFiles): Read {
  const source = text.startsWith('\ufeff') ? text.slice(1) : text;
  const lines = new LineCounter();
  const where = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { line, column: col };
  };
  const reader = new Reader(file, source, env, secrets, where);
  const tooDeep = firstTooDeep(source);
  if (tooDeep !== undefined) {
    reader.refuse(positionIn(source, tooDeep), TOO_DEEP);
    return reader.result();
  }
  try {
    reader.read(
      // Keys written twice are found by #map, which knows both places.
      parseAllDocuments(source, {
        lineCounter: lines,
        version: '1.2',
        schema: 'core',
        merge: false,
        uniqueKeys: false,
        prettyErrors: false,
      }),
    );
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    reader.refuse(START, TOO_DEEP);
  }
  return reader.result();
}

/** The parser takes minutes over a long run of brackets, its lexer does not. @returns where it becomes too much. */
function firstTooDeep(source: string): number | undefined {
  let depth = 0;
  let at = 0;
  for (const lexeme of new Lexer().lex(source)) {
    if (lexeme === '[' || lexeme === '{') depth++;
    else if (lexeme === ']' || lexeme === '}') depth--;
    if (depth > MAX_DEPTH) return at;
    if (!CONTROL_LEXEMES.has(lexeme)) at += lexeme.length;
  }
  return undefined;
}

/** Marks of the lexer that stand for no text. */
const CONTROL_LEXEMES = new Set(['\u0002', '\u0018', '\u001f']);

type Parsed = ReturnType<typeof parseAllDocuments>;

/** Keys that name an object's prototype: a later merge or lookup by key would reach it. */
const PROTOTYPE_KEYS = new Set(['__proto__', 'constructor', 'prototype']);

class Reader {
  readonly #file: string;
  readonly #source: string;
  readonly #env: Environment;
  readonly #where: (offset: number) => Position;
  readonly #keys = new Map<string, Position>();
  readonly #values = new Map<string, Position>();
  readonly #fromEnv: EnvironmentValue[] = [];
  readonly #secrets: SecretFiles | undefined;
  readonly #files = new Map<string, string>();
  readonly #problems: Problem[] = [];
  #value: unknown = {};

  constructor(
    file: string,
    source: string,
    env: Environment,
    secrets: SecretFiles | undefined,
    where: (offset: number) => Position,
  ) {
    this.#file = file;
    this.#secrets = secrets;
    this.#source = source;
    this.#env = env;
    this.#where = where;
  }

  result(): Read {
    if (this.#problems.length > 0) return { problems: this.#problems };
    return {
      document: new Document(this.#file, this.#value, this.#fromEnv, this.#keys, this.#values, this.#files),
      problems: [],
    };
  }

  refuse({ line, column }: Position, message: string, hint?: string): undefined {
    if (this.#problems.length === MAX_PROBLEMS) return undefined;
    const problem: Problem = { severity: 'error', file: this.#file, line, column, message };
    this.#problems.push(hint === undefined ? problem : { ...problem, hint });
    return undefined;
  }

  read(documents: Parsed): void {
    // Nothing but directives or comments: what is wrong with them is told of the stream.
    if ('empty' in documents) return void this.#refuseSyntax(documents);
    const [first, second] = documents as readonly (YamlDocument.Parsed | undefined)[];
    if (first === undefined) return;
    if (second !== undefined) {
      this.refuse(this.#where(second.range[0]), 'a second document begins here', 'one file holds one: remove the ---');
      return;
    }
    if (this.#refuseSyntax(first)) return;
    if (first.contents === null || (isScalar(first.contents) && first.contents.value === null)) return;
    this.#value = this.#plain(first.contents, '', 0);
  }

  #refuseSyntax(document: Pick<YamlDocument.Parsed, 'errors' | 'warnings'>): boolean {
    const seen = new Set<number>();
    for (const { message, pos } of [...document.errors, ...document.warnings]) {
      const position = this.#where(pos[0]);
      if (seen.has(position.line) || seen.size === MAX_SYNTAX_ERRORS) continue;
      seen.add(position.line);
      // The parser tells of its own overflow as of a mistake.
      if (/call stack/.test(message)) this.refuse(position, TOO_DEEP);
      else this.refuse(position, `not valid YAML: ${lowerFirst(message)}`, this.#syntaxHint(position.line));
    }
    return seen.size > 0;
  }

  /** Inside { } and [ ] YAML takes the braces of a placeholder for its own. */
  #syntaxHint(line: number): string | undefined {
    const text = this.#source.split('\n')[line - 1] ?? '';
    return /[[{].*[^"']\$\{/.test(text) ? 'inside { } and [ ] a placeholder must be in quotes: "${NAME}"' : undefined;
  }

  #plain(node: unknown, at: string, depth: number): unknown {
    const position = this.#where((node as Node | null)?.range?.[0] ?? 0);
    this.#values.set(at, position);
    if (depth > MAX_DEPTH) return this.refuse(position, TOO_DEEP);
    if (isAlias(node)) {
      return this.refuse(
        position,
        `alias '*${node.source}': aliases are not supported`,
        'write it out, or use defaults in gateway.yaml',
      );
    }
    if (isMap(node)) return this.#map(node.items, at, depth);
    if (isSeq(node)) return node.items.map((item, index) => this.#plain(item, child(at, index), depth + 1));
    if (isScalar(node)) return this.#scalar(node, position);
    return null;
  }

  #map(pairs: readonly Pair[], at: string, depth: number): Record<string, unknown> {
    const object: Record<string, unknown> = {};
    for (const { key, value } of pairs) {
      const position = this.#where((key as Node | null)?.range?.[0] ?? 0);
      const name = isScalar(key) && key.value !== null ? (key.source ?? String(key.value)) : undefined;
      if (name === undefined) {
        this.refuse(position, 'a key must be a word');
        continue;
      }
      if (!this.#acceptsKey(name, position)) continue;
      const path = child(at, name);
      const before = this.#keys.get(path);
      if (before !== undefined) {
        this.refuse(position, `key '${name}' is written twice: first at ${before.line}:${before.column}`);
        continue;
      }
      this.#keys.set(path, position);
      object[name] = this.#plain(value, path, depth + 1);
      // `key:` with nothing behind it: its place is the key's.
      if (value === null || (isScalar(value) && value.source === '')) this.#values.set(path, position);
    }
    return object;
  }

  #acceptsKey(name: string, position: Position): boolean {
    if (PROTOTYPE_KEYS.has(name)) this.refuse(position, `key '${name}' is not allowed`);
    else if (name === '<<')
      this.refuse(position, `merge key '<<' is not supported`, 'write it out, or use defaults in gateway.yaml');
    else if (/[\x00-\x1f\x7f]/.test(name)) this.refuse(position, 'a key must not hold control characters');
    else return true;
    return false;
  }

  #scalar(node: Scalar, position: Position): unknown {
    if (typeof node.value === 'bigint') return Number(node.value);
    if (typeof node.value !== 'string') return node.value;
    const filled = fillPlaceholders(node.value, this.#env, this.#secrets);
    if (filled === undefined) return node.value;
    if ('message' in filled) return this.refuse(this.#inside(node, position, filled.at), filled.message, filled.hint);
    this.#fromEnv.push(...filled.used);
    for (const { path, digest } of filled.files) this.#files.set(path, digest);
    // What a file holds is text, also when it looks like a number.
    return node.type === Scalar.PLAIN && filled.whole && filled.files.length === 0
      ? plainScalar(filled.text)
      : filled.text;
  }

  /** Where a placeholder stands in a scalar of one line; of a longer one, where the scalar begins. */
  #inside(node: Scalar, { line, column }: Position, at: number): Position {
    const quote = node.type === Scalar.QUOTE_DOUBLE || node.type === Scalar.QUOTE_SINGLE ? 1 : 0;
    const begin = (node.range?.[0] ?? 0) + quote + at;
    return this.#source.startsWith('${', begin) ? { line, column: column + quote + at } : { line, column };
  }
}

const lowerFirst = (text: string) => text.charAt(0).toLowerCase() + text.slice(1);

function positionIn(text: string, offset: number): Position {
  const before = text.slice(0, offset).split('\n');
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
}
