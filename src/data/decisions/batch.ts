/**
 * Decision records on their way to the control plane, many in one message. Most were only drawn, and ask nothing: they go as
 * the lines of the log that they become, one text, so that the control plane has one piece to write and no record to look at.
 */
import type { Decision, RecordCause } from './record.ts';
import { needsHistory, tell, type ToldDecision, type Why } from './told.ts';

export interface DecisionBatch {
  /** Of those that were drawn and are nothing else: whole lines of the log, each with its line feed. */
  readonly lines: string;
  readonly lineCount: number;
  readonly records: readonly DecisionMessage[];
  /** Records that found no room since the last batch. */
  readonly dropped: number;
}

export interface DecisionMessage {
  /** When its request began, milliseconds since the epoch. */
  readonly at: number;
  readonly causes: readonly RecordCause[];
  /** Text: it asks nothing, and is JSON already. */
  readonly told: ToldDecision<Why> | string;
}

/** @param now milliseconds since the epoch: the time of the lines. */
export function batchOf(decisions: readonly Decision[], dropped: number, thread: number, now: number): DecisionBatch {
  const time = timeText(now);
  const records: DecisionMessage[] = [];
  let lines = '';
  for (const decision of decisions) {
    const { at, causes } = decision;
    const told = tell(decision);
    if (needsHistory(decision)) records.push({ at, causes, told });
    else if (isOnlySampled(causes)) lines += lineOf(JSON.stringify(told), at, thread, time);
    else records.push({ at, causes, told: JSON.stringify(told) });
  }
  return { lines, lineCount: decisions.length - records.length, records, dropped };
}

const isOnlySampled = (causes: readonly RecordCause[]) => causes.length === 1 && causes[0] === 'sampled';

/**
 * As pino's. The line has its own time: that of the record is when the request began.
 * @param text JSON of a ToldDecision. @param time of the line.
 */
export function lineOf(text: string, at: number, thread: number, time: string): string {
  const head = `{"level":30,"time":"${time}","event":"decision","startedAt":"${timeText(at)}","thread":${thread},`;
  return `${head}${text.slice(1, -1)},"msg":"decision"}\n`;
}

export const timeText = (wallMs: number) => new Date(wallMs).toISOString();
