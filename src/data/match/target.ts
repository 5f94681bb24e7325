/**
 * The one rule by which a request target is read, applied once, before matching: what was matched is what is sent.
 *
 * - The form is origin (`/path?query`), absolute (`http://host/path`, whose authority then replaces Host, RFC 9112
 *   §3.2.2), or `*` for OPTIONS.
 * - An escape of an unreserved character is that character (RFC 3986 §6.2.2.2); all others get upper-case digits. What
 *   may not stand in a path, non-ASCII bytes included, is escaped.
 * - `//` is `/`; `.` and `..` are resolved (RFC 3986 §5.2.4), however they were spelled.
 * - Refused with 400: what climbs above the root, backslashes, control characters, `%00`, `#`, a bad escape, bytes that
 *   are not UTF-8, dot segments behind `;` or an encoded slash (`..;`, `..%2F`), and an escaped escape that a second
 *   decoding would turn into a plain character or syntax (`%2561`, `%252E`).
 * - An encoded slash or backslash, also twice encoded, is reported; whether it may pass is the matched route's decision.
 *
 * Routes are matched with `routePath`, in which each segment ends at its `;parameters` and every character that has a
 * meaning of its own nowhere in a path (`:`, `@`, `+` …) is spelled plainly: `/admin;x` and `/%61dmin` are under the
 * policy of `/admin`, and `/v1/job%3Acancel` under that of `/v1/job:cancel`, for so an upstream may read them.
 */
import { GatewayError } from '../../errors.ts';
import { parseAuthority, type Authority } from './authority.ts';

export interface Target {
  /** The path as it is sent to the upstream; `*` for the server as a whole. */
  readonly path: string;
  /** The path that routes are matched with; nearly always the same string. */
  readonly routePath: string;
  /** The query without its `?`; empty when there is none. */
  readonly search: string;
  /** Of an absolute-form target: it replaces Host. */
  readonly authority: Authority | undefined;
  /** The path holds %2F or %5C, perhaps encoded twice: pass it only where the route allows. */
  readonly encodedSlash: boolean;
}

const SLASH = 0x2f;
const DOT = 0x2e;
const PERCENT = 0x25;
const QUESTION = 0x3f;
const HASH = 0x23;
const BACKSLASH = 0x5c;
const SPACE = 0x20;
const DELETE = 0x7f;

/** @throws GatewayError http_request_error, 400, with the reason as its detail. */
export function normaliseTarget(raw: string, method: string): Target {
  const end = cleanPathEnd(raw);
  if (end === -1) return normaliseUnclean(raw, method);
  const path = end === raw.length ? raw : raw.slice(0, end);
  return { path, routePath: path, search: raw.slice(end + 1), authority: undefined, encodedSlash: false };
}

/** Whether normalising a path would leave it as it is. What a rewrite has made must be so, or it could change its route. */
export function isNormalPath(path: string): boolean {
  if (cleanPathEnd(path) === path.length) return true;
  try {
    return path.startsWith('/') && normalisePath(path).path === path;
  } catch {
    return false;
  }
}

/**
 * The `routePath` of a path written in the configuration, where any Unicode may stand.
 * @throws GatewayError with the reason as its detail.
 */
export function routePathOf(written: string): string {
  if (cleanPathEnd(written) === written.length) return written;
  return normalisePath(Buffer.from(written, 'utf8').toString('latin1')).routePath;
}

/** The answer to an encoded slash on a route that does not allow it. */
export function encodedSlashError(): GatewayError {
  return refusal('the path holds an encoded slash or backslash');
}

/** Where the path of a target in normal origin form ends; -1 when the target has to be looked at closely. */
function cleanPathEnd(target: string): number {
  if (target.charCodeAt(0) !== SLASH) return -1;
  let end = 1;
  for (; end < target.length; end++) {
    const code = target.charCodeAt(end);
    if (code === SLASH || code === DOT) {
      if (target.charCodeAt(end - 1) === SLASH) return -1;
    } else if (code === QUESTION) break;
    else if (code > DELETE || PLAIN[code] === 0) return -1;
  }
  for (let at = end + 1; at < target.length; at++) {
    const code = target.charCodeAt(at);
    if (code <= SPACE || code >= DELETE || code === HASH) return -1;
  }
  return end;
}

function normaliseUnclean(raw: string, method: string): Target {
  if (raw === '*' && method === 'OPTIONS') {
    return { path: '*', routePath: '*', search: '', authority: undefined, encodedSlash: false };
  }
  let authority: Authority | undefined;
  let origin = raw;
  if (!raw.startsWith('/')) {
    const [, written, rest = ''] = ABSOLUTE_FORM.exec(raw) ?? [];
    if (written === undefined) throw refusal('the request target is neither a path nor an http URL');
    authority = parseAuthority(written);
    if (authority === undefined) throw refusal('the request target names no valid host');
    origin = rest.startsWith('/') ? rest : `/${rest}`;
  }
  const query = origin.indexOf('?');
  const path = normalisePath(query === -1 ? origin : origin.slice(0, query));
  return { ...path, search: query === -1 ? '' : respellQuery(origin.slice(query + 1)), authority };
}

const ABSOLUTE_FORM = /^https?:\/\/([^/?#]*)([^]*)$/i;

function normalisePath(raw: string): Pick<Target, 'path' | 'routePath' | 'encodedSlash'> {
  const spelled = respellPath(raw);
  const segments = resolveSegments(spelled);
  const path = `/${segments.join('/')}`;
  return {
    path,
    routePath: /[;%]/.test(path) ? `/${segments.map(routeSegment).join('/')}` : path,
    encodedSlash: ENCODED_SLASH.test(path),
  };
}

/** One spelling for each character; what no path may hold is refused. */
function respellPath(raw: string): string {
  let spelled = '';
  for (let at = 0; at < raw.length; at++) {
    const code = raw.charCodeAt(at);
    if (code === PERCENT) {
      const byte = Number.parseInt(HEX_PAIR.exec(raw.slice(at + 1, at + 3))?.[0] ?? '', 16);
      if (Number.isNaN(byte)) throw refusal('the path holds a percent sign that starts no escape');
      if (byte === 0) throw refusal('the path holds an encoded NUL');
      spelled += UNRESERVED[byte] === 1 ? String.fromCharCode(byte) : escaped(byte);
      at += 2;
    } else if (code <= SPACE || code === DELETE || code === BACKSLASH || code === HASH || code > 0xff) {
      throw refusal('the path holds a character that may not stand in a path');
    } else {
      spelled += IN_PATH[code] === 1 ? raw[at] : escaped(code);
    }
  }
  if (!isUtf8(spelled)) throw refusal('the path is not UTF-8');
  if (holdsDangerousDoubleEscape(spelled)) throw refusal('the path holds an escaped escape');
  return spelled;
}

/** decodeURIComponent refuses what is truncated, overlong or a surrogate. */
function isUtf8(spelled: string): boolean {
  if (!spelled.includes('%')) return true;
  try {
    decodeURIComponent(spelled);
    return true;
  } catch {
    return false;
  }
}

/** `%2520` is a space to whoever decodes twice and harms nobody; `%2561` is another spelling of `a`. Slashes are reported. */
function holdsDangerousDoubleEscape(spelled: string): boolean {
  for (const [, digits = ''] of spelled.matchAll(/%25([0-9A-F]{2})/gi)) {
    const inner = Number.parseInt(digits, 16);
    if (inner === SLASH || inner === BACKSLASH) continue;
    if (inner < SPACE || inner === DELETE || inner === PERCENT || inner === HASH || inner === QUESTION) return true;
    if (IN_PATH[inner] === 1) return true;
  }
  return false;
}

/** The segments that are left when empty ones are merged and dot segments resolved; the last is empty after a final slash. */
function resolveSegments(spelled: string): string[] {
  const kept: string[] = [];
  let endsInSlash = true;
  for (const segment of spelled.split('/')) {
    endsInSlash = segment === '' || segment === '.' || segment === '..';
    if (segment === '..' && kept.pop() === undefined) throw refusal('the path climbs above its root');
    if (endsInSlash) continue;
    if (hidesDotSegment(segment)) throw refusal('the path hides a dot segment');
    kept.push(segment);
  }
  if (endsInSlash) kept.push('');
  return kept;
}

/**
 * Servers that cut `;parameters` read `..;` as `..` and `;x` as nothing, and those that decode slashes read `a%2F..` as
 * `a/..`: neither is ever meant well.
 */
function hidesDotSegment(segment: string): boolean {
  if (segment.startsWith(';') || segment.startsWith('%3B')) return true;
  return segment.split(ENCODED_SLASHES).some((part) => {
    const name = part.slice(0, parametersStart(part));
    return name === '.' || name === '..';
  });
}

const ENCODED_SLASH = /%(?:25)?(?:2F|5C)/i;
const ENCODED_SLASHES = new RegExp(ENCODED_SLASH, 'gi');

function routeSegment(segment: string): string {
  return segment.slice(0, parametersStart(segment)).replace(/%[0-9A-F]{2}/g, (escape) => {
    const code = Number.parseInt(escape.slice(1), 16);
    return PLAIN[code] === 1 ? String.fromCharCode(code) : escape;
  });
}

function parametersStart(segment: string): number {
  const start = segment.search(/;|%3B/);
  return start === -1 ? segment.length : start;
}

function respellQuery(raw: string): string {
  let spelled = '';
  for (let at = 0; at < raw.length; at++) {
    const code = raw.charCodeAt(at);
    if (code <= SPACE || code === DELETE || code === HASH || code > 0xff) {
      throw refusal('the query holds a character that may not stand in a query');
    }
    spelled += code > DELETE ? escaped(code) : raw[at];
  }
  return spelled;
}

function escaped(byte: number): string {
  return `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
}

function refusal(detail: string): GatewayError {
  return new GatewayError('http_request_error', `request target refused: ${detail}`, { detail: `${detail}.` });
}

const HEX_PAIR = /^[0-9A-Fa-f]{2}$/;

/** 1 for each character of the set, by its code. */
function characterSet(characters: string): Uint8Array {
  const set = new Uint8Array(256);
  for (let at = 0; at < characters.length; at++) set[characters.charCodeAt(at)] = 1;
  return set;
}

const LETTERS_AND_DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
/** RFC 3986 §2.3. */
const UNRESERVED = characterSet(`${LETTERS_AND_DIGITS}-._~`);
/** RFC 3986 §3.3: what a segment may hold unescaped, without `;`, which starts parameters. */
const PLAIN = characterSet(`${LETTERS_AND_DIGITS}-._~!$&'()*+,=:@`);
const IN_PATH = characterSet(`${LETTERS_AND_DIGITS}-._~!$&'()*+,=:@;/`);
