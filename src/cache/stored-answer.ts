/** An answer as the cache keeps it. */
import type { Look } from '../memory/cache-table.ts';

/** All but the body. Plain data: it is stored as JSON. */
export interface StoredHead {
  /** Which requests it may answer, in full: a hash alone is not believed. */
  readonly key: string;
  /** What the client asked for, for purges. */
  readonly url: string;
  /** Fields that chose it (Vary), in lower case, and what the request said in them. */
  readonly vary: readonly string[];
  readonly variant: string;
  /** Surrogate keys. */
  readonly tags: readonly string[];
  readonly status: number;
  /** Flat, as clients get them, without Age. */
  readonly fields: readonly string[];
  /** When it came, on the clock that all threads share, and how old it was then. */
  readonly storedAt: number;
  readonly initialAgeMs: number;
  /** How old it may be, counted from its making. */
  readonly freshMs: number;
  /** Beyond that: while it is asked for anew, and where that fails. */
  readonly staleWhileRevalidateMs: number;
  readonly staleIfErrorMs: number;
  /** Each use must be confirmed by the upstream. */
  readonly noCache: boolean;
  /** It may be shared with callers who prove who they are (RFC 9111 §3.5). */
  readonly isPublic: boolean;
  readonly etag?: string | undefined;
  /** As it was sent, and in milliseconds since the epoch. */
  readonly lastModified?: string | undefined;
  readonly modifiedMs?: number | undefined;
  /** Date of the answer, in milliseconds since the epoch. */
  readonly dateMs: number;
}

export interface StoredAnswer {
  readonly head: StoredHead;
  readonly bodyBytes: number;
  /** undefined until it is asked for. */
  body: Buffer | undefined;
  /** Where it is stored; undefined: it has just come. */
  readonly place?: { readonly look: Look; readonly slot: number; readonly mark: number; readonly epoch: number };
}
