/**
 * Which requests of a thread are recorded, and how their records get to the control plane: many in one message, a bounded
 * number of them. A request that is neither asked about nor drawn has no record until an attempt of it fails. What one record
 * costs is mostly that its code and both threads have gone cold since the last: so they are told and sent together.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { Clock, Random, Timer } from '../../clock.ts';
import type { ExplainConfig } from '../../config/schema.ts';
import type { EndpointTable } from '../../memory/endpoint-table.ts';
import type { Exchange } from '../exchange.ts';
import { compileNetworks, type Networks } from '../match/networks.ts';
import { batchOf, type DecisionBatch } from './batch.ts';
import { DecisionRecord, type Decision } from './record.ts';
import { needsHistory } from './told.ts';

const LOOK_EVERY_MS = 50;
/** Those that nobody waits for wait for so many, or for half a second, as lines of the access log do. */
const WORTH_SENDING = 32;
const MOST_LOOKS = 10;
/** In one message. Beyond it records are dropped and counted, so that a storm of failures costs what one message does. */
const MOST_WAITING = 64 + WORTH_SENDING;

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
  #waiting: Decision[] = [];
  #dropped = 0;
  /** Somebody may look for one of them, or the control plane may soon know less about it. */
  #isUrgent = false;
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
    if (this.#waiting.length >= room) {
      this.#dropped += 1;
      return;
    }
    const record = exchange.record ?? this.#record(exchange, false, false);
    const decision = record.close(durationMs, isFailure);
    this.#waiting.push(decision);
    if (isFailure || record.isAsked || needsHistory(decision)) this.#isUrgent = true;
    this.#timer ??= this.#parts.clock.after(LOOK_EVERY_MS, this.#look);
  }

  readonly #look = (): void => {
    this.#looks += 1;
    if (this.#isUrgent || this.#waiting.length >= WORTH_SENDING || this.#looks === MOST_LOOKS) this.flush();
    else this.#timer = this.#parts.clock.after(LOOK_EVERY_MS, this.#look);
  };

  flush(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#isUrgent = false;
    this.#looks = 0;
    if (this.#waiting.length === 0) return;
    const { clock, thread, send } = this.#parts;
    send(batchOf(this.#waiting, this.#dropped, thread, clock.wall()));
    this.#waiting = [];
    this.#dropped = 0;
  }

  #record(exchange: Exchange, asked: boolean, sampled: boolean): DecisionRecord {
    return new DecisionRecord(exchange, this.#parts.table, this.#parts.clock, { asked, sampled });
  }
}

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
