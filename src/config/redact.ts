/** The configuration as it may be shown: without what opens doors. */
import type { Config } from './schema.ts';

export const REDACTED = '[redacted]';

/** Of keys, header fields and environment variables whose values open doors. */
export const SECRET_NAME =
  /token|secret|passw|passphrase|credential|private|api[-_]?key|authorization|cookie$|^key$|_key$/i;

/** @param secrets values to hide wherever they stand, `LoadResult.secrets`. */
export function redact(config: Config, secrets: readonly string[] = []): Config {
  return hide(config, secrets) as Config;
}

function hide(value: unknown, secrets: readonly string[]): unknown {
  if (typeof value === 'string') return secrets.some((secret) => value.includes(secret)) ? REDACTED : value;
  if (Array.isArray(value)) return value.map((item) => hide(item, secrets));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, part]) => [
      key,
      SECRET_NAME.test(key) && isWord(part) ? REDACTED : hide(part, secrets),
    ]),
  );
}

const isWord = (value: unknown) => typeof value === 'string' || typeof value === 'number';
