/**
 * The decision records that the data threads send: those drawn by lot are logged, the last of those that failed and of those
 * that asked are kept for the admin server. Each kind has room of its own, so that neither pushes out the other.
 */
import type { DecisionMessage, RecordCause } from '../data/decisions/record.ts';
import { viewDecision, type DecisionView, type DecisionWords } from './decision-view.ts';
import type { ControlLog } from './log.ts';

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

export class Decisions {
  readonly #words: DecisionWords;
  readonly #log: ControlLog;
  readonly #recorded: Record<RecordCause, number> = { asked: 0, sampled: 0, failed: 0 };
  #dropped = 0;
  /** Of each kind. */
  #capacity = 0;
  /** The oldest first. */
  #failed: DecisionView[] = [];
  #asked: DecisionView[] = [];

  constructor(words: DecisionWords, log: ControlLog) {
    this.#words = words;
    this.#log = log;
  }

  /** A reload may have changed how many are kept. */
  keep(capacity: number): void {
    this.#capacity = capacity;
    for (const kept of [this.#failed, this.#asked]) kept.splice(0, kept.length - capacity);
  }

  receive(thread: number, records: readonly DecisionMessage[], dropped: number): void {
    this.#dropped += dropped;
    for (const record of records) this.#take(viewDecision(record, thread, this.#words));
  }

  #take(view: DecisionView): void {
    for (const cause of view.recorded) this.#recorded[cause] += 1;
    if (view.recorded.includes('failed')) this.#push(this.#failed, view);
    if (view.recorded.includes('asked')) this.#push(this.#asked, view);
    if (!view.recorded.includes('sampled')) return;
    // The line has its own time: that of the record is when the request began.
    const { time: startedAt, ...decision } = view;
    this.#log.info({ event: 'decision', startedAt, ...decision }, 'decision');
  }

  #push(kept: DecisionView[], view: DecisionView): void {
    kept.push(view);
    if (kept.length > this.#capacity) kept.shift();
  }

  /** The newest first. */
  list(filter: DecisionFilter, most: number): readonly DecisionView[] {
    return this.#all.filter((view) => isWanted(view, filter)).slice(0, most);
  }

  /** The newest with that id; undefined: none is kept. */
  of(requestId: string): DecisionView | undefined {
    return this.#all.find((view) => view.requestId === requestId);
  }

  get counts(): DecisionCounts {
    return { recorded: this.#recorded, dropped: this.#dropped };
  }

  get #all(): readonly DecisionView[] {
    return [...new Set([...this.#failed, ...this.#asked])].sort((a, b) => (a.time < b.time ? 1 : -1));
  }
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
