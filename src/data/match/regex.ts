/**
 * Regular expressions that users write: RE2 syntax through re2js, linear in the length of the input whatever the
 * pattern, so that no path or header can make one hang. Lookahead and backreferences are errors at load.
 */
import { createRequire } from 'node:module';
import type { RE2JS } from 're2js';

const require = createRequire(import.meta.url);

/** Loaded with the first pattern: most configurations have none. */
export const re2 = (): typeof RE2JS => (require('re2js') as { RE2JS: typeof RE2JS }).RE2JS;

/** @throws Error with a sentence about what is wrong. */
export function compileRegex(source: string): RE2JS {
  try {
    return re2().compile(source);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`'${source}' is not an RE2 regular expression: ${reason}`, { cause });
  }
}

const META = /[.*+?()[\]{}|^$\\]/;

/**
 * What every whole match of the pattern starts with; a cheap test before the expensive one. It may be shorter than it
 * could be, never longer.
 */
export function literalPrefix(source: string): string {
  if (hasTopLevelAlternatives(source)) return '';
  let prefix = '';
  let at = source.startsWith('^') ? 1 : 0;
  for (; at < source.length; at++) {
    const character = source.charAt(at);
    if (character === '\\' && /[^A-Za-z0-9]/.test(source.charAt(at + 1))) prefix += source.charAt(++at);
    else if (META.test(character)) break;
    else prefix += character;
  }
  // `/ab?` starts with `/a`: what follows binds to the last character.
  return /[*?{]/.test(source.charAt(at)) ? prefix.slice(0, -1) : prefix;
}

/** In doubt, yes: classes and quoted runs may hold parentheses that group nothing. */
function hasTopLevelAlternatives(source: string): boolean {
  if (!source.includes('|')) return false;
  if (source.includes('[') || source.includes('\\Q')) return true;
  let depth = 0;
  for (let at = 0; at < source.length; at++) {
    const character = source.charAt(at);
    if (character === '\\') at++;
    else if (character === '(') depth++;
    else if (character === ')') depth--;
    else if (character === '|' && depth === 0) return true;
  }
  return false;
}
