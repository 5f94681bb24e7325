/** One file as plain data that remembers where each part of it was written. */
import type { AttachedFiles } from './option-files.ts';
import type { EnvironmentValue } from './placeholders.ts';
import { START, type Position, type Problem } from './problem.ts';

export type Path = readonly (string | number)[];

/** JSON pointer (RFC 6901): the key under which positions are kept, and ajv's own notation. */
export const pointer = (path: Path): string => path.reduce<string>(child, '');

export const child = (at: string, key: string | number): string =>
  `${at}/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`;

/** One file, read. */
export class Document {
  /** Relative to the configuration's directory. */
  readonly file: string;
  /** Plain data; `{}` for an empty file. */
  readonly value: unknown;
  /** Values that the environment and secret files gave. */
  readonly fromEnv: readonly EnvironmentValue[];
  /** What other files held that its options name, when it was interpreted first. */
  readonly attached: AttachedFiles = new Map();
  /** Digests of those files, by full path. */
  readonly secretFiles: ReadonlyMap<string, string>;
  readonly #keys: ReadonlyMap<string, Position>;
  readonly #values: ReadonlyMap<string, Position>;

  constructor(
    file: string,
    value: unknown,
    fromEnv: readonly EnvironmentValue[],
    keys: ReadonlyMap<string, Position>,
    values: ReadonlyMap<string, Position>,
    secretFiles: ReadonlyMap<string, string> = new Map(),
  ) {
    this.file = file;
    this.value = value;
    this.fromEnv = fromEnv;
    this.secretFiles = secretFiles;
    this.#keys = keys;
    this.#values = values;
  }

  /** Where the value at `at` stands; of what is not in the file, where the nearest thing around it does. */
  valueAt(at: string): Position {
    return this.#nearest(this.#values, at);
  }

  /** Where the key at `at` stands. */
  keyAt(at: string): Position {
    return this.#keys.get(at) ?? this.valueAt(at);
  }

  has(at: string): boolean {
    return this.#values.has(at);
  }

  /** `file:line:column`. */
  source(at: string): string {
    const { line, column } = this.keyAt(at);
    return `${this.file}:${line}:${column}`;
  }

  error(position: Position, message: string, hint?: string): Problem {
    return this.#problem('error', position, message, hint);
  }

  warning(position: Position, message: string, hint?: string): Problem {
    return this.#problem('warning', position, message, hint);
  }

  #problem(severity: Problem['severity'], position: Position, message: string, hint: string | undefined): Problem {
    const told = { severity, file: this.file, line: position.line, column: position.column };
    const said = withoutValues(message, this.fromEnv);
    return hint === undefined
      ? { ...told, message: said }
      : { ...told, message: said, hint: withoutValues(hint, this.fromEnv) };
  }

  #nearest(positions: ReadonlyMap<string, Position>, at: string): Position {
    for (let path = at; path !== ''; path = path.slice(0, path.lastIndexOf('/'))) {
      const position = positions.get(path);
      if (position !== undefined) return position;
    }
    return positions.get('') ?? START;
  }
}

/** What the environment holds may be secret: messages name the variable instead. */
function withoutValues(message: string, fromEnv: readonly EnvironmentValue[]): string {
  let safe = message;
  for (const { name, value } of fromEnv) {
    if (value === '' || value === 'true' || value === 'false') continue;
    const literal = value.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
    // A short value is also part of innocent words: it must begin where no word goes on.
    const pattern = new RegExp(value.length < 4 ? `(?<![\\p{L}\\p{N}])${literal}` : literal, 'gu');
    safe = safe.replace(pattern, () => `\${${name}}`);
  }
  return safe;
}
