/** What is compressed, and how: the options of one route, compiled. */
import { addVary } from '../../src/data/vary.ts';
import type { UpstreamRequest } from '../../src/data/dispatch.ts';
import type { Counter } from '../../src/memory/counter-table.ts';
import { compileChoice, type Choice, type Coding } from './accept-encoding.ts';
import { hasNoTransform, readFacts, restateNotModified } from './answer-fields.ts';
import { compileEncoder, type Encoder } from './encoders.ts';
import { compileTypes, type TypeTest } from './media-types.ts';
import type { CompressConfig } from './schema.ts';
import { Slots } from './slots.ts';

/** What became of an answer; its label in metrics. */
export const OUTCOMES = [
  'zstd',
  'br',
  'gzip',
  /** By the upstream. */
  'encoded',
  /** Its type or status, or it forbids it. */
  'unfit',
  'small',
  /** The client takes none of what is offered, or forbids it. */
  'unwanted',
  'incompressible',
  'busy',
] as const;
export type Outcome = (typeof OUTCOMES)[number];

export interface Counters {
  readonly outcomes: Readonly<Record<Outcome, Counter>>;
  readonly bytesIn: Counter;
  readonly bytesOut: Counter;
}

/** An answer that may be compressed. */
export interface Fit {
  readonly encoder: Encoder;
  /** Of its body; undefined when not announced. */
  readonly length: number | undefined;
}

const NOT_MODIFIED = 304;
/** Without a body, or with a part of one; behind a 101 something else than HTTP is spoken. */
const BODILESS: ReadonlySet<number> = new Set([101, 204, 205, 206, NOT_MODIFIED]);

export class Policy {
  readonly counters: Counters;
  readonly minSize: number;
  readonly slots: Slots;
  readonly #choose: Choice;
  readonly #encoders: ReadonlyMap<Coding, Encoder>;
  readonly #isWorthIt: TypeTest;

  constructor(config: CompressConfig, counters: Counters) {
    const { encodings, types, minSize, levels, concurrency } = config;
    this.counters = counters;
    this.minSize = minSize;
    this.slots = new Slots(concurrency);
    this.#choose = compileChoice(encodings);
    this.#encoders = new Map(encodings.map((coding) => [coding, compileEncoder(coding, levels[coding])]));
    this.#isWorthIt = compileTypes(types);
  }

  /** Looks at a head, and says in it what caches must know. @returns undefined when the answer goes as it is. */
  judge(request: UpstreamRequest, status: number, fields: string[]): Fit | undefined {
    const { exchange } = request;
    const facts = readFacts(fields);
    if (status === NOT_MODIFIED && restateNotModified(fields, exchange.header('if-none-match'))) {
      addVary(fields, 'Accept-Encoding');
    }
    if (facts.isEncoded) return this.#pass('encoded');
    if (BODILESS.has(status) || facts.isPartial || facts.forbidsTransform) return this.#pass('unfit');
    if (facts.type === undefined || !this.#isWorthIt(facts.type)) return this.#pass('unfit');
    // From here on it depends on the client, or on how the body arrives.
    addVary(fields, 'Accept-Encoding');
    if (facts.length !== undefined && facts.length < this.minSize) return this.#pass('small');
    const coding = this.#choose(exchange.header('accept-encoding') ?? '');
    if (coding === undefined || hasNoTransform(exchange.header('cache-control') ?? '')) return this.#pass('unwanted');
    return { encoder: this.#encoders.get(coding)!, length: facts.length };
  }

  #pass(outcome: Outcome): undefined {
    this.counters.outcomes[outcome].increment();
    return undefined;
  }
}
