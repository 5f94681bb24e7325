/** What a token whose signature is right must say to be accepted (RFC 7519 §4.1). Strict about types: a claim that is not what it should be is no claim. */
import { expiredToken, insufficientToken, invalidToken } from '../bearer-refusals.ts';
import type { Refusal } from '../refusal.ts';
import { holds, scopesOf, textsOf } from '../token-claims.ts';
import { memberAt, type JsonObject } from '../token-json.ts';

export interface ClaimRules {
  /** Undefined: any. */
  readonly issuer: string | undefined;
  /** Empty: any. */
  readonly audience: readonly string[];
  readonly clockToleranceMs: number;
  readonly requiredClaims: readonly string[];
  /** Needs iat, which is then among those required. */
  readonly maxAgeMs: number | undefined;
  readonly scopes: readonly string[];
  /** Any of the values will do. */
  readonly claims: readonly (readonly [name: string, values: readonly unknown[]])[];
  readonly scopesClaim: string;
}

const WRONG_TYPE = invalidToken('a registered claim is of the wrong type');
const EXPIRED = expiredToken('the token has expired');
const TOO_OLD = expiredToken('the token is older than maxAge');
const NOT_YET = invalidToken('the token is not valid yet');
const ISSUER = invalidToken('the token is of another issuer');
const AUDIENCE = invalidToken('the token is for another audience');

/** @returns why it is refused; undefined when it is not. @param nowMs on the wall clock. */
export function judgeClaims(claims: JsonObject, rules: ClaimRules, nowMs: number): Refusal | undefined {
  if (!hasRightTypes(claims)) return WRONG_TYPE;
  const missing = rules.requiredClaims.find((name) => memberAt(claims, name) === undefined);
  if (missing !== undefined) return invalidToken(`the claim ${missing} is missing`);
  return judgeTimes(claims, rules, nowMs) ?? judgeParties(claims, rules) ?? judgeRights(claims, rules);
}

/** Until when a token that was accepted may be taken for granted; Infinity where it does not say. */
export function acceptedUntil(claims: JsonObject, { clockToleranceMs, maxAgeMs = Infinity }: ClaimRules): number {
  const { exp = Infinity, iat = Infinity } = claims as { exp?: number; iat?: number };
  return Math.min(exp * 1000, iat * 1000 + maxAgeMs) + clockToleranceMs;
}

function hasRightTypes({ iss, sub, jti, aud, exp, nbf, iat }: JsonObject): boolean {
  const isAudience = Array.isArray(aud) ? aud.every((item) => typeof item === 'string') : isTextOrAbsent(aud);
  return isAudience && [iss, sub, jti].every(isTextOrAbsent) && [exp, nbf, iat].every(isDateOrAbsent);
}

const isTextOrAbsent = (value: unknown) => value === undefined || typeof value === 'string';
/** 1e999 is Infinity. */
const isDateOrAbsent = (value: unknown) => value === undefined || Number.isFinite(value);

function judgeTimes(claims: JsonObject, rules: ClaimRules, nowMs: number): Refusal | undefined {
  const { exp, nbf, iat } = claims as { exp?: number; nbf?: number; iat?: number };
  const { clockToleranceMs, maxAgeMs } = rules;
  if (exp !== undefined && nowMs >= exp * 1000 + clockToleranceMs) return EXPIRED;
  if (nbf !== undefined && nowMs < nbf * 1000 - clockToleranceMs) return NOT_YET;
  if (iat !== undefined && nowMs < iat * 1000 - clockToleranceMs) return NOT_YET;
  if (maxAgeMs === undefined || iat === undefined) return undefined;
  return nowMs >= iat * 1000 + maxAgeMs + clockToleranceMs ? TOO_OLD : undefined;
}

function judgeParties({ iss, aud }: JsonObject, { issuer, audience }: ClaimRules): Refusal | undefined {
  if (issuer !== undefined && iss !== issuer) return ISSUER;
  if (audience.length === 0) return undefined;
  return textsOf(aud).some((name) => audience.includes(name)) ? undefined : AUDIENCE;
}

function judgeRights(claims: JsonObject, { scopes, claims: needed, scopesClaim }: ClaimRules): Refusal | undefined {
  if (scopes.length > 0) {
    const granted = scopesOf(claims, scopesClaim);
    const missing = scopes.find((scope) => !granted.includes(scope));
    if (missing !== undefined) return insufficientToken(`the token lacks the scope ${missing}`, scopes);
  }
  const failed = needed.find(([name, values]) => !holds(memberAt(claims, name), values));
  return failed === undefined ? undefined : insufficientToken(`the claim ${failed[0]} has another value`);
}
