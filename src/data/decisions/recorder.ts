/**
 * Which requests of a thread are recorded, and how their records get to the control plane: many in one message, a bounded
 * number of them. A request that is neither asked about nor drawn has no record until an attempt of it fails. What one record
 * costs is mostly that its code and both threads have gone cold since the last: so they are told and sent together. But as
 * objects they are in the collector's way while they wait: so they are told soon, and are sent late, as bytes.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { Clock, Random, Timer } from '../../clock.ts';
import type { ExplainConfig } from '../../config/schema.ts';
import type { EndpointTable } from '../../memory/endpoint-table.ts';
import type { Exchange } from '../exchange.ts';
import { compileNetworks, type Networks } from '../match/networks.ts';
import { lineOf, type DecisionBatch, type DecisionMessage } from './batch.ts';
import { LineBuffer } from './line-buffer.ts';
import { DecisionRecord, type Decision, type RecordCause } from './record.ts';
import { needsHistory, tell } from './told.ts';

const LOOK_EVERY_MS = 50;
/** Of those that were drawn at 1 %, a collection of V8's young generation finds about so many. */
const TOLD_TOGETHER = 8;
/** Lines, that nobody waits for, wait for so many, or for half a second, as those of the access log do. */
const WORTH_SENDING = 96;
const MOST_LOOKS = 10;
/** In one message. Beyond it records are dropped and counted, so that a storm of failures costs what one message does. */
const MOST_WAITING = 64 + WORTH_SENDING;
/** A line has 700, and 110 more for each further endpoint. */
const MOST_BYTES = 256 * 1024;

export interface RecorderParts {
  readonly table: EndpointTable;
  readonly clock: Clock;
  readonly random: Random;
  readonly thread: number;
  readonly send: (batch: DecisionBatch) => void;
}

export class DecisionRecorder {
  readonly #parts: RecorderParts;
  #keepsFailures = false;
  #mayAsk: (said: string, client: string) => boolean = () => false;
  readonly #untold: Decision[] = [];
  readonly #lines = new LineBuffer(MOST_BYTES);
  #records: DecisionMessage[] = [];
  #dropped = 0;
  #looks = 0;
  #timer: Timer | undefined;

  constructor(parts: RecorderParts) {
    this.#parts = parts;
  }

  configure(config: ExplainConfig): void {
    this.#keepsFailures = config.failures > 0;
    this.#mayAsk = compileAsking(config);
  }

  /** The request has its rule: is it one to record whole? */
  begin(exchange: Exchange): void {
    const { rule, head, clientAddress } = exchange;
    const sampled = rule.sample > 0 && this.#parts.random() < rule.sample;
    const asked = head.explain !== undefined && this.#mayAsk(head.explain, clientAddress);
    if (sampled || asked) exchange.record = this.#record(exchange, asked, sampled);
  }

  /** An attempt has failed. @returns the record of its exchange, if that is to have one. */
  recordFailure(exchange: Exchange): DecisionRecord | undefined {
    if (exchange.record === undefined && this.#keepsFailures) exchange.record = this.#record(exchange, false, false);
    return exchange.record;
  }

  /** Once for each exchange. */
  end(exchange: Exchange, durationMs: number): void {
    const isFailure = this.#keepsFailures && hasFailed(exchange);
    if (!isFailure && exchange.record?.isWhole !== true) return;
    // Who asked has room of his own: a storm of failures takes nothing of it.
    const room = exchange.record?.isAsked === true ? 2 * MOST_WAITING : MOST_WAITING;
    if (this.#lines.count + this.#records.length + this.#untold.length < room) {
      const record = exchange.record ?? this.#record(exchange, false, false);
      this.#untold.push(record.close(durationMs, isFailure));
      if (this.#untold.length === TOLD_TOGETHER) this.#tell();
    } else {
      this.#dropped += 1;
    }
    this.#timer ??= this.#parts.clock.after(LOOK_EVERY_MS, this.#look);
  }

  #tell(): void {
    const { clock, thread } = this.#parts;
    const now = clock.wall();
    for (const decision of this.#untold) {
      const { at, causes } = decision;
      const told = tell(decision);
      const text = needsHistory(decision) ? undefined : JSON.stringify(told);
      if (text === undefined || !isOnlySampled(causes)) this.#records.push({ at, causes, told: text ?? told });
      else if (!this.#lines.append(lineOf(text, at, thread, now))) this.#dropped += 1;
    }
    this.#untold.length = 0;
  }

  readonly #look = (): void => {
    this.#tell();
    this.#looks += 1;
    // Somebody may look for a record, or the control plane may soon know less about it.
    const isUrgent = this.#records.length > 0;
    if (isUrgent || this.#lines.count >= WORTH_SENDING || this.#looks === MOST_LOOKS) this.flush();
    else this.#timer = this.#parts.clock.after(LOOK_EVERY_MS, this.#look);
  };

  flush(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#looks = 0;
    this.#tell();
    const lineCount = this.#lines.count;
    if (lineCount === 0 && this.#records.length === 0 && this.#dropped === 0) return;
    this.#parts.send({ lines: this.#lines.take(), lineCount, records: this.#records, dropped: this.#dropped });
    this.#records = [];
    this.#dropped = 0;
  }

  #record(exchange: Exchange, asked: boolean, sampled: boolean): DecisionRecord {
    return new DecisionRecord(exchange, this.#parts.table, this.#parts.clock, { asked, sampled });
  }
}

const isOnlySampled = (causes: readonly RecordCause[]) => causes.length === 1 && causes[0] === 'sampled';

/** The gateway itself had to say so, or it went on failing after retries. */
function hasFailed({ error, status, retries, upstream }: Exchange): boolean {
  if (error !== undefined) return error.status >= 500;
  return status >= 500 && (retries > 0 || (upstream as Exchange['upstream'] | undefined)?.fallback !== undefined);
}

/** Without anything said, nobody may. With both, both must hold. */
function compileAsking({ token, from }: ExplainConfig): (said: string, client: string) => boolean {
  if (token === undefined && from.length === 0) return () => false;
  const networks: Networks | undefined = from.length === 0 ? undefined : compileNetworks(from);
  // Digests are of one length, which is what a comparison in constant time needs.
  const expected = token === undefined ? undefined : digest(token);
  return (said, client) => {
    if (networks?.contains(client) === false) return false;
    return expected === undefined || timingSafeEqual(digest(said), expected);
  };
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
