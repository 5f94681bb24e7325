/** What claims say, whoever vouches for them: a signature, or the issuer that was asked. */
import type { TokenConfig } from '../../src/config/schema.ts';
import { memberAt, type JsonObject } from './token-json.ts';

/** Text with spaces (RFC 8693 §4.2) or a list; anything else is no scope. */
export function scopesOf(claims: JsonObject, name: string): readonly string[] {
  const value = memberAt(claims, name);
  return typeof value === 'string' ? value.split(' ').filter((scope) => scope !== '') : textsOf(value);
}

/** The texts in a list; a text alone is a list of one. */
export function textsOf(value: unknown): readonly string[] {
  if (typeof value === 'string') return [value];
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}

/** Whether a claim, or one of its items, is one of the values. */
export function holds(claim: unknown, values: readonly unknown[]): boolean {
  return Array.isArray(claim) ? claim.some((item) => values.includes(item)) : values.includes(claim);
}

/** Whether a consumer's token is this one: all that it says must hold. */
export function describes({ issuer, subject, claims = {} }: TokenConfig, token: JsonObject): boolean {
  if (issuer !== undefined && token.iss !== issuer) return false;
  if (subject !== undefined && token.sub !== subject) return false;
  return Object.entries(claims).every(([name, value]) => holds(memberAt(token, name), [value]));
}
