/** What is wrong with a token: one sentence for the log, and what the client may know of it (RFC 6750 §3.1). */
import { Refusal } from './refusal.ts';

export const CHALLENGE = 'Bearer realm="aya"';

export const invalidToken = (message: string): Refusal => {
  const challenge = `${CHALLENGE}, error="invalid_token", error_description="The token is not valid."`;
  return new Refusal('invalid', message, { challenge });
};

export const expiredToken = (message: string): Refusal => {
  const challenge = `${CHALLENGE}, error="invalid_token", error_description="The token has expired."`;
  return new Refusal('expired', message, { challenge });
};

/** @param scopes that would do; none where it is not for want of a scope. */
export const insufficientToken = (message: string, scopes: readonly string[] = []): Refusal => {
  const scope = scopes.length === 0 ? '' : `, scope="${scopes.join(' ')}"`;
  return new Refusal('forbidden', message, { challenge: `${CHALLENGE}, error="insufficient_scope"${scope}` });
};

/** Until the keys are there. */
const RETRY_AFTER_S = 5;

export const unverifiable = (message: string): Refusal =>
  new Refusal('unavailable', message, { retryAfterSeconds: RETRY_AFTER_S });
