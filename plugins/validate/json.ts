/**
 * Bytes → a JSON value, where every reader finds the same one or none: one linear pass refuses what parsers are known to
 * read differently, or choke on, before JSON.parse sees it (RFC 8259 §4, §8, §9).
 */
import { isUtf8 } from 'node:buffer';

export interface JsonLimits {
  readonly depth: number;
  readonly duplicateKeys: 'refuse' | 'allow';
}

/** What is wrong with it, for the client. Holds keys of the text, never values. */
export class NotJson extends Error {
  override readonly name = 'NotJson';
}

/** @throws NotJson */
export function readJson(bytes: Buffer, limits: JsonLimits): unknown {
  if (!isUtf8(bytes)) throw new NotJson('must be UTF-8');
  const text = bytes.toString('utf8');
  if (text.charCodeAt(0) === 0xfeff) throw new NotJson('must not begin with a byte order mark');
  new Scan(text, limits).run();
  try {
    return JSON.parse(text) as unknown;
  } catch {
    // The parser's own words quote the text.
    throw new NotJson('must be well-formed JSON');
  }
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const MINUS = 0x2d;
const SLASH = 0x2f;
const BACKSLASH = 0x5c;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const LOWER_U = 0x75;
const LOWER_E = 0x65;
const UPPER_E = 0x45;

/** Shorter ones without exponent are finite. */
const DIGITS_OF_MAX = 308;
const LONGEST_TOLD_KEY = 64;

/** Follows the structure only; whether the text is JSON at all is the parser's to say. */
class Scan {
  readonly #text: string;
  readonly #most: number;
  readonly #refusesDuplicates: boolean;
  #at = 0;
  #depth = 0;
  /** By depth: whether it is an object, and the keys that it had so far. */
  readonly #isObject: boolean[] = [false];
  readonly #keys: (Set<string> | undefined)[] = [];
  /** A string that comes now is a key. */
  #keyComes = false;

  constructor(text: string, { depth, duplicateKeys }: JsonLimits) {
    this.#text = text;
    this.#most = depth;
    this.#refusesDuplicates = duplicateKeys === 'refuse';
  }

  run(): void {
    const text = this.#text;
    while (this.#at < text.length) {
      const code = text.charCodeAt(this.#at);
      if (code === QUOTE) this.#string();
      else if (code === OPEN_BRACE || code === OPEN_BRACKET) this.#open(code === OPEN_BRACE);
      else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) this.#close();
      else if (code === COMMA) this.#next();
      else if (code === MINUS || (code >= 0x30 && code <= 0x39)) this.#number();
      else this.#at++;
    }
  }

  #open(isObject: boolean): void {
    this.#depth++;
    if (this.#depth > this.#most) throw new NotJson(`must not be nested deeper than ${this.#most} (validate.depth)`);
    this.#isObject[this.#depth] = isObject;
    this.#keyComes = isObject;
    const keys = this.#keys[this.#depth];
    if (isObject && keys !== undefined && keys.size > 0) keys.clear();
    this.#at++;
  }

  #close(): void {
    if (this.#depth > 0) this.#depth--;
    this.#keyComes = false;
    this.#at++;
  }

  #next(): void {
    this.#keyComes = this.#isObject[this.#depth]!;
    this.#at++;
  }

  #string(): void {
    const text = this.#text;
    const start = this.#at + 1;
    let at = start;
    let isEscaped = false;
    for (; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code === QUOTE) break;
      if (code !== BACKSLASH) continue;
      isEscaped = true;
      if (text.charCodeAt(at + 1) === LOWER_U) at = this.#unicodeEscape(at);
      else at++;
    }
    this.#at = at + 1;
    if (!this.#keyComes) return;
    this.#keyComes = false;
    if (this.#refusesDuplicates) this.#key(text.slice(start, at), isEscaped);
  }

  /** RFC 8259 §8.2: half a surrogate pair is read in every way there is. @returns where the escape's last digit stands. */
  #unicodeEscape(at: number): number {
    const unit = this.#codeUnit(at);
    if (Number.isNaN(unit)) return at + 1;
    if (unit < 0xd800 || unit > 0xdfff) return at + 5;
    const low = this.#codeUnit(at + 6);
    if (unit > 0xdbff || !(low >= 0xdc00 && low <= 0xdfff)) throw new NotJson('must not hold half a surrogate pair');
    return at + 11;
  }

  /** Of the escape `\uXXXX` at `at`; NaN when there is none. */
  #codeUnit(at: number): number {
    const digits = /^\\u([0-9A-Fa-f]{4})$/.exec(this.#text.slice(at, at + 6))?.[1];
    return digits === undefined ? NaN : Number.parseInt(digits, 16);
  }

  #key(written: string, isEscaped: boolean): void {
    const key = isEscaped ? unescaped(written) : written;
    const keys = (this.#keys[this.#depth] ??= new Set());
    const before = keys.size;
    if (keys.add(key).size > before) return;
    throw new NotJson(`must not hold the key '${key.slice(0, LONGEST_TOLD_KEY)}' twice (validate.duplicateKeys)`);
  }

  #number(): void {
    const text = this.#text;
    const start = this.#at;
    let isLarge = false;
    let at = start + 1;
    for (; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code === LOWER_E || code === UPPER_E) isLarge = true;
      // + - . and digits.
      else if (code < 0x2b || code > 0x39 || code === COMMA || code === SLASH) break;
    }
    this.#at = at;
    if (!isLarge && at - start <= DIGITS_OF_MAX) return;
    if (Math.abs(Number(text.slice(start, at))) === Infinity) throw new NotJson('must not hold a number beyond 1e308');
  }
}

function unescaped(written: string): string {
  try {
    return JSON.parse(`"${written}"`) as string;
  } catch {
    throw new NotJson('must be well-formed JSON');
  }
}
