/** All methods, in the order in which they are asked: where a request carries several credentials, the first decides. */
import apiKey from './api-key/index.ts';
import basic from './basic/index.ts';
import forwardAuth from './forward-auth/index.ts';
import jwt from './jwt/index.ts';
import mtls from './mtls/index.ts';
import oidc from './oidc/index.ts';
import signature from './signature/index.ts';
import type { AuthMethod } from './method.ts';

// What proves most comes first; a cookie, which comes by itself, and a question to others come last.
export const METHODS = [
  signature,
  mtls,
  jwt,
  apiKey,
  basic,
  oidc,
  forwardAuth,
] as const satisfies readonly AuthMethod<never>[];
