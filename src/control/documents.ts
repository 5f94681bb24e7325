/**
 * Fetches documents of other servers on behalf of the data threads: each once for all of them, again when its freshness
 * has ended or when a thread misses something in it, but never more often than the cooldown allows. What was fetched
 * last is kept however long its server is away, and so is it when what came in its place cannot be what was meant.
 */
import type { Clock, Random, Timer } from '../clock.ts';
import { COOLDOWN_MS, type RemoteDocument } from '../data/documents.ts';
import { download } from './download.ts';
import type { ControlLog } from './log.ts';
import type { DocumentView } from './view.ts';

const FIRST_BACKOFF_MS = 1_000;
const LONGEST_BACKOFF_MS = 60_000;

export interface FollowerParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: ControlLog;
  /** To all data threads. */
  readonly publish: (document: RemoteDocument) => void;
}

export class DocumentFollower {
  readonly #parts: FollowerParts;
  readonly #followed = new Map<string, Followed>();
  #configured: readonly string[] = [];

  constructor(parts: FollowerParts) {
    this.#parts = parts;
  }

  /** From now on these, what they lead to, and no others. Those that are new are fetched at once. */
  follow(urls: readonly string[]): void {
    this.#configured = urls;
    this.#update();
  }

  /** A thread misses something in it. Every question is answered by `publish`, with or without news. */
  refresh(url: string): void {
    const followed = this.#followed.get(url);
    if (followed !== undefined) return followed.refresh();
    const askedAt = this.#parts.clock.now();
    this.#parts.publish({ url, text: undefined, version: 0, failure: 'not followed', askedAt });
  }

  get all(): readonly RemoteDocument[] {
    return [...this.#followed.values()].map(({ document }) => document);
  }

  get views(): readonly DocumentView[] {
    return [...this.#followed.values()].map((followed) => followed.view);
  }

  close(): void {
    this.follow([]);
  }

  #update(): void {
    const wanted = new Set(this.#configured);
    for (const url of this.#configured) {
      const link = this.#followed.get(url)?.link;
      if (link !== undefined) wanted.add(link);
    }
    for (const [url, followed] of this.#followed) {
      if (wanted.has(url)) continue;
      followed.close();
      this.#followed.delete(url);
    }
    for (const url of wanted) {
      if (this.#followed.has(url)) continue;
      const followed = new Followed(url, this.#parts, () => this.#update());
      this.#followed.set(url, followed);
      void followed.fetch();
    }
  }
}

class Followed {
  document: RemoteDocument;
  /** Where a discovery document says that the keys are. */
  link: string | undefined;
  readonly #parts: FollowerParts;
  readonly #onNews: () => void;
  readonly #fetches = { ok: 0, failed: 0 };
  #fetchedAt: number | undefined;
  #next: Timer | undefined;
  #failures = 0;
  #fetching = false;
  #closed = false;

  /** @param onNews is called before anybody else hears of it. */
  constructor(url: string, parts: FollowerParts, onNews: () => void) {
    this.document = { url, text: undefined, version: 0, failure: undefined, askedAt: -Infinity };
    this.#parts = parts;
    this.#onNews = onNews;
  }

  get view(): DocumentView {
    const { url, version, failure } = this.document;
    const ageMs = this.#fetchedAt === undefined ? undefined : this.#parts.clock.now() - this.#fetchedAt;
    return { url, version, failure, ageMs, fetches: this.#fetches };
  }

  refresh(): void {
    if (this.#fetching) return;
    const { clock, publish } = this.#parts;
    if (clock.now() - this.document.askedAt >= COOLDOWN_MS) void this.fetch();
    else publish(this.document);
  }

  async fetch(): Promise<void> {
    const { clock, random, publish } = this.#parts;
    this.#fetching = true;
    this.#next?.cancel();
    const askedAt = clock.now();
    this.document = { ...this.document, askedAt };
    let againInMs: number;
    try {
      const { text, link, freshMs } = await download(this.document.url);
      this.#succeed(text, link);
      againInMs = freshMs;
    } catch (error) {
      againInMs = this.#fail((error as Error).message);
    }
    this.#fetching = false;
    if (!this.#closed) {
      this.#onNews();
      // Spread, so that gateways that started together do not ask together for ever.
      this.#next = clock.after(againInMs * (0.8 + 0.2 * random()), () => void this.fetch());
    }
    // Also when nobody follows it any more: a thread may have asked while it still was.
    publish(this.document);
  }

  #succeed(text: string, link: string | undefined): void {
    const { url, version, text: before, askedAt } = this.document;
    const isNew = text !== before;
    this.document = { url, text, version: isNew ? version + 1 : version, failure: undefined, askedAt };
    this.link = link;
    this.#fetchedAt = this.#parts.clock.now();
    this.#fetches.ok++;
    this.#failures = 0;
    if (isNew) this.#parts.log.info({ event: 'document_fetched', url }, `fetched ${url}`);
  }

  /** @returns after how long to try again. */
  #fail(reason: string): number {
    const { url, text } = this.document;
    this.document = { ...this.document, failure: reason };
    this.#fetches.failed++;
    const serves = text === undefined ? 'nothing to serve from' : 'the version before serves on';
    if (!this.#closed) this.#parts.log.warn({ event: 'document_failed', url, reason }, `${url}: ${reason}; ${serves}`);
    return Math.min(FIRST_BACKOFF_MS * 2 ** this.#failures++, LONGEST_BACKOFF_MS);
  }

  close(): void {
    this.#closed = true;
    this.#next?.cancel();
  }
}
