/** Decisions that still hold, and questions that are under way. */
import type { Clock } from '../../../src/clock.ts';
import type { Exchange } from '../../../src/data/exchange.ts';
import type { Answer } from './question.ts';

const MOST_DECISIONS = 4096;
/** Of a key: longer ones are not remembered. */
const MOST_CHARACTERS = 8192;
/** Of a refusal: whoever sends junk must not fill the memory with pages of errors. */
const MOST_BYTES = 4096;
const NO_BODY = Buffer.alloc(0);

interface Decision {
  readonly answer: Answer;
  readonly until: number;
}

export class Decisions {
  readonly #ttlMs: number;
  readonly #by: readonly string[];
  readonly #clock: Clock;
  readonly #known = new Map<string, Decision>();
  readonly #waiting = new Map<string, ((answer: Answer) => void)[]>();

  constructor({ ttl, by }: { readonly ttl: number; readonly by: readonly string[] }, clock: Clock) {
    this.#ttlMs = ttl;
    this.#by = by.map((name) => name.toLowerCase());
    this.#clock = clock;
  }

  /** @returns undefined when it is too long to be remembered. */
  keyOf(exchange: Exchange): string | undefined {
    // No field holds a line feed, so no value can be taken for two.
    const { method, scheme, authority, target, clientAddress } = exchange;
    let key = `${method}\n${scheme}\n${authority}\n${target}\n${clientAddress}`;
    for (const name of this.#by) key += `\n${exchange.header(name) ?? ''}`;
    return key.length > MOST_CHARACTERS ? undefined : key;
  }

  get(key: string): Answer | undefined {
    const decision = this.#known.get(key);
    if (decision === undefined) return undefined;
    if (decision.until > this.#clock.now()) return decision.answer;
    this.#known.delete(key);
    return undefined;
  }

  /** @returns whether nobody asks yet, so that the caller has to. */
  await(key: string, done: (answer: Answer) => void): boolean {
    const waiting = this.#waiting.get(key);
    if (waiting === undefined) this.#waiting.set(key, [done]);
    else waiting.push(done);
    return waiting === undefined;
  }

  settle(key: string, answer: Answer): void {
    if (mayBeShared(answer)) this.#remember(key, answer);
    const waiting = this.#waiting.get(key) ?? [];
    this.#waiting.delete(key);
    for (const done of waiting) done(answer);
  }

  #remember(key: string, answer: Answer): void {
    if (this.#known.size >= MOST_DECISIONS) {
      const [oldest] = this.#known.keys();
      this.#known.delete(oldest!);
    }
    // Nobody reads what a yes says in its body.
    const kept = isYes(answer) ? { ...answer, body: NO_BODY } : answer;
    this.#known.set(key, { answer: kept, until: this.#clock.now() + this.#ttlMs });
  }
}

/** A yes or a no. Not a way to a login: its cookie is for one client. */
function mayBeShared(answer: Answer): boolean {
  const { status, fields, body } = answer;
  const isDecision = isYes(answer) || ((status === 401 || status === 403) && body.length <= MOST_BYTES);
  return isDecision && !fields.some((name, at) => at % 2 === 0 && name.toLowerCase() === 'set-cookie');
}

const isYes = ({ status }: Answer): boolean => status >= 200 && status < 300;
