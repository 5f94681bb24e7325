/**
 * Decision records on their way to the control plane, many in one message. Most were only drawn, and ask nothing: they go as
 * the lines of the log that they become, so that the control plane has one piece to write and no record to look at.
 */
import type { RecordCause } from './record.ts';
import type { ToldDecision, Why } from './told.ts';

export interface DecisionBatch {
  /** Of those that were drawn and are nothing else: whole lines of the log in UTF-8, each with its line feed. */
  readonly lines: Uint8Array;
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

/**
 * As pino's. The line has its own time: that of the record is when the request began.
 * @param text JSON of a ToldDecision.
 * @param at when its request began, and @param now of the line: milliseconds since the epoch.
 */
export function lineOf(text: string, at: number, thread: number, now: number): string {
  const head = `{"level":30,"time":"${timeText(now)}","event":"decision","startedAt":"${timeText(at)}","thread":${thread},`;
  return `${head}${text.slice(1, -1)},"msg":"decision"}\n`;
}

export const timeText = (wallMs: number) => new Date(wallMs).toISOString();
