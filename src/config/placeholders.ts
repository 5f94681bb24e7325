/**
 * `${NAME}`, `${NAME:-default}` and `${file:PATH}` in the values of a file; `$${` stands for `${` itself. As in a shell,
 * the default is used when the variable is unset or empty.
 */
import type { SecretFile, SecretFiles } from './secret-files.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface Filled {
  readonly text: string;
  /** Names and values of the variables that went into it; of a file the name is `file:PATH`. */
  readonly used: readonly EnvironmentValue[];
  readonly files: readonly SecretFile[];
  /** The text was one placeholder and nothing else. */
  readonly whole: boolean;
}

export interface EnvironmentValue {
  readonly name: string;
  readonly value: string;
}

export interface PlaceholderFault {
  /** Where in the text. */
  readonly at: number;
  readonly message: string;
  readonly hint?: string;
}

/** Introduces the path of a file. */
export const FILE = 'file:';

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** @returns undefined when the text holds no placeholder. */
export function fillPlaceholders(
  text: string,
  env: Environment,
  read?: SecretFiles,
): Filled | PlaceholderFault | undefined {
  let open = text.indexOf('${');
  if (open === -1) return undefined;
  let filled = '';
  let from = 0;
  let whole = false;
  const used: EnvironmentValue[] = [];
  const files: SecretFile[] = [];
  for (; open !== -1; open = text.indexOf('${', from)) {
    if (open > from && text[open - 1] === '$') {
      filled += `${text.slice(from, open - 1)}\${`;
      from = open + 2;
      continue;
    }
    const close = text.indexOf('}', open);
    if (close === -1) return { at: open, message: `placeholder without its '}'`, hint: `write $\${ for a plain \${` };
    const inside = text.slice(open + 2, close);
    if (inside.startsWith(FILE)) {
      const file = read?.(inside.slice(FILE.length)) ?? { message: 'files are not read here' };
      if ('message' in file) return { at: open, ...file };
      used.push({ name: inside, value: file.value });
      files.push(file);
      filled += text.slice(from, open) + file.value;
      from = close + 1;
      whole = open === 0 && from === text.length;
      continue;
    }
    const [name = '', fallback] = splitOnce(inside, ':-');
    if (!NAME.test(name)) return malformed(open, name);
    if (fallback?.includes('${')) return { at: open, message: 'placeholder inside a placeholder' };
    const value = env[name];
    if (value === undefined && fallback === undefined) {
      return {
        at: open,
        message: `environment variable '${name}' is not set`,
        hint: `set it, or give a default: \${${name}:-…}`,
      };
    }
    const useFallback = fallback !== undefined && (value === undefined || value === '');
    if (!useFallback) used.push({ name, value: value ?? '' });
    filled += text.slice(from, open) + (useFallback ? fallback : value);
    from = close + 1;
    whole = open === 0 && from === text.length;
  }
  return { text: filled + text.slice(from), used, files, whole };
}

function malformed(at: number, name: string): PlaceholderFault {
  return {
    at,
    message: `'\${${name}}' is not a placeholder`,
    hint: `write \${NAME}, \${NAME:-default} or \${file:PATH}, or $\${ for a plain \${`,
  };
}

function splitOnce(text: string, separator: string): [string, string?] {
  const at = text.indexOf(separator);
  return at === -1 ? [text] : [text.slice(0, at), text.slice(at + separator.length)];
}

const INTEGER = /^[-+]?[0-9]+$/;
const FLOAT = /^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$/;

/** What an unquoted word means: YAML 1.2 §10.3.2 (core schema). Never a list or an object: no value opens a structure. */
export function plainScalar(text: string): string | number | boolean | null {
  if (/^(?:|~|null|Null|NULL)$/.test(text)) return null;
  if (/^(?:true|True|TRUE)$/.test(text)) return true;
  if (/^(?:false|False|FALSE)$/.test(text)) return false;
  if (INTEGER.test(text) || FLOAT.test(text)) return Number(text);
  return text;
}
