/**
 * The decision records that the data threads send: those drawn by lot are logged, the last of those that failed and of those
 * that asked are kept for the admin server. Each kind has room of its own, so that neither pushes out the other.
 */
import type { Clock } from '../clock.ts';
import type { RecordCause } from '../data/decisions/record.ts';
import { lineOf, timeText, type DecisionBatch } from '../data/decisions/batch.ts';
import type { ToldDecision } from '../data/decisions/told.ts';
import { answered, type DecisionView, type DecisionWords } from './decision-view.ts';
import type { WriteLines } from './log.ts';

export interface DecisionFilter {
  readonly route?: string | undefined;
  readonly pool?: string | undefined;
  /** `503`, or `5xx`. */
  readonly status?: string | undefined;
  readonly recorded?: RecordCause | undefined;
}

export interface DecisionCounts {
  readonly recorded: Readonly<Record<RecordCause, number>>;
  /** Records that found no room on their way here. */
  readonly dropped: number;
}

/** Written out; read again only when an operator looks. */
interface Kept {
  readonly at: number;
  readonly thread: number;
  /** JSON of a ToldDecision. */
  readonly text: string;
}

const UTF8 = new TextDecoder();

export class Decisions {
  readonly #words: DecisionWords;
  readonly #writeLines: WriteLines;
  readonly #clock: Clock;
  readonly #recorded: Record<RecordCause, number> = { asked: 0, sampled: 0, failed: 0 };
  #dropped = 0;
  /** Of each kind. */
  #capacity = 0;
  /** The oldest first. */
  #failed: Kept[] = [];
  #asked: Kept[] = [];

  constructor(words: DecisionWords, writeLines: WriteLines, clock: Clock) {
    this.#words = words;
    this.#writeLines = writeLines;
    this.#clock = clock;
  }

  /** A reload may have changed how many are kept. */
  keep(capacity: number): void {
    this.#capacity = capacity;
    for (const kept of [this.#failed, this.#asked]) kept.splice(0, kept.length - capacity);
  }

  receive(thread: number, batch: DecisionBatch): void {
    this.#dropped += batch.dropped;
    this.#recorded.sampled += batch.lineCount;
    let lines = UTF8.decode(batch.lines);
    for (const { at, causes, told } of batch.records) {
      const text = typeof told === 'string' ? told : JSON.stringify(answered(told, this.#words));
      for (const cause of causes) this.#recorded[cause] += 1;
      if (causes.includes('failed')) this.#push(this.#failed, { at, thread, text });
      if (causes.includes('asked')) this.#push(this.#asked, { at, thread, text });
      if (causes.includes('sampled')) lines += lineOf(text, at, thread, this.#clock.wall());
    }
    if (lines !== '') this.#writeLines(lines);
  }

  #push(kept: Kept[], decision: Kept): void {
    kept.push(decision);
    if (kept.length > this.#capacity) kept.shift();
  }

  /** The newest first. */
  list(filter: DecisionFilter, most: number): readonly DecisionView[] {
    const found: DecisionView[] = [];
    for (const kept of this.#all) {
      if (found.length === most) break;
      const view = viewOf(kept);
      if (isWanted(view, filter)) found.push(view);
    }
    return found;
  }

  /** The newest with that id; undefined: none is kept. */
  of(requestId: string): DecisionView | undefined {
    for (const kept of this.#all) {
      const view = viewOf(kept);
      if (view.requestId === requestId) return view;
    }
    return undefined;
  }

  get counts(): DecisionCounts {
    return { recorded: this.#recorded, dropped: this.#dropped };
  }

  get #all(): readonly Kept[] {
    return [...new Set([...this.#failed, ...this.#asked])].sort((a, b) => b.at - a.at);
  }
}

function viewOf({ at, thread, text }: Kept): DecisionView {
  const { requestId, ...told } = JSON.parse(text) as ToldDecision;
  return { requestId, time: timeText(at), thread, ...told };
}

function isWanted({ route, pool, status, recorded, attempts }: DecisionView, filter: DecisionFilter): boolean {
  if (filter.route !== undefined && route !== filter.route) return false;
  if (filter.pool !== undefined && pool !== filter.pool && !attempts.some((attempt) => attempt.pool === filter.pool)) {
    return false;
  }
  if (filter.recorded !== undefined && !recorded.includes(filter.recorded)) return false;
  return filter.status === undefined || matchesStatus(status, filter.status);
}

/** @param wanted `503`, or `5xx` */
function matchesStatus(status: number, wanted: string): boolean {
  return wanted.endsWith('xx') ? String(status).startsWith(wanted[0]!) : String(status) === wanted;
}
