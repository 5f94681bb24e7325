/** The configuration as it may be shown: without what opens doors. */
export const REDACTED = '[redacted]';

/** Of keys, header fields and environment variables whose values open doors. */
export const SECRET_NAME =
  /token|secret|passw|passphrase|credential|private|api[-_]?key|mac[-_]?key|authorization|cookie$|^key$|_key$/i;

/** RFC 3986 §3.2.1: a URL may carry a password. */
const USER_INFO = /^([a-z][a-z0-9+.-]*:\/\/)[^/?#]*@/i;

export const withoutUserInfo = (text: string): string => text.replace(USER_INFO, `$1${REDACTED}@`);

/** @param secrets values to hide wherever they stand, `LoadResult.secrets`. */
export function redact<Shown extends object>(shown: Shown, secrets: readonly string[] = []): Shown {
  return hide(shown, secrets) as Shown;
}

function hide(value: unknown, secrets: readonly string[]): unknown {
  if (typeof value === 'string') {
    return secrets.some((secret) => value.includes(secret)) ? REDACTED : withoutUserInfo(value);
  }
  if (Array.isArray(value)) return value.map((item) => hide(item, secrets));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, part]) => [
      key,
      SECRET_NAME.test(key) && isWords(part) ? REDACTED : hide(part, secrets),
    ]),
  );
}

const isWord = (value: unknown) => typeof value === 'string' || typeof value === 'number';
const isWords = (value: unknown) => isWord(value) || (Array.isArray(value) && value.length > 0 && value.every(isWord));
