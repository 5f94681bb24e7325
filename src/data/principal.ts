/** Who a request is. An authentication method of `plugins/auth` says so, once; everything after it only reads. */
import type { ConsumerConfig } from '../config/schema.ts';

export interface Principal {
  /** The method that proved it: its key below `auth`. */
  readonly method: string;
  /** Who it says it is: the subject of a token, a user name, the id of a key, the subject of a certificate. */
  readonly subject: string;
  /** Undefined: proven, but no consumer of ours. */
  readonly consumer: ConsumerConfig | undefined;
  /** The consumer's, and those that the credential names. */
  readonly groups: readonly string[];
  readonly scopes: readonly string[];
  /** Of a token; empty for other methods. */
  readonly claims: Readonly<Record<string, unknown>>;
  /** The credential came by itself, as browsers send cookies: a request may not be its user's wish (CSRF). */
  readonly ambient: boolean;
}
