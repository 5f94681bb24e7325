/** How much a caller may ask, in time and at once; see README.md and docs/decisions/0008. */
import type { Exchange } from '../../src/data/exchange.ts';
import type { GatewayError } from '../../src/errors.ts';
import { definePlugin, type Concern, type PluginContext } from '../../src/extension.ts';
import { writtenLimits } from '../../src/limits/written.ts';
import type { Counter } from '../../src/memory/counter-table.ts';
import { Admission, refusalOf, type Decision } from './admission.ts';
import { compileLimit, type CompiledLimit } from './limit.ts';
import { NO_LIMITS, OwnLimits } from './own-limits.ts';
import { isPlain, plainCheck, type PlainCheck } from './plain.ts';
import type { RateLimitConfig } from '../../src/config/rate-limit-schema.ts';
import { standingOf, tell, type Standing } from './standing.ts';

const COUNTER = 'aya_rate_limit_decisions_total';

export default definePlugin<RateLimitConfig | false | undefined, Promise<Concern>>({
  name: 'rateLimit',
  phase: 'limit',
  counters: [
    {
      name: COUNTER,
      help: 'Decisions of limits; shadow: passed, but a limit in shadow would have refused.',
      label: 'decision',
      values: ['allowed', 'limited', 'shadow'],
    },
  ],

  /** Consumers and groups may have limits of their own; those of a store may come at any time. */
  implied(route, { gateway, consumers }) {
    const { auth, rateLimit } = route as { auth?: unknown; rateLimit?: unknown };
    if (auth === undefined || auth === false || rateLimit === false) return false;
    const { store } = gateway as { store?: unknown };
    const owners = [...consumers, ...Object.values(gateway.groups)];
    return (store !== undefined && store !== 'memory') || owners.some(({ rateLimit }) => rateLimit !== undefined);
  },

  async create(config, context) {
    const { route, config: whole } = context;
    const written =
      config === undefined || config === false
        ? []
        : writtenLimits(config, `route:${route.name}`, whole.gateway.rateLimits);
    const limits = await Promise.all(written.map((limit) => compileLimit(limit, context)));
    const [first] = limits;
    const plain =
      limits.length === 1 && isPlain(first!, written[0]!.config.cost) ? await plainCheck(first!) : undefined;
    return new RateLimit(limits, plain, ownLimitsOf(context), context);
  },
});

/** One for each generation: all its routes find what was compiled for a consumer. */
const ownLimits = new WeakMap<object, OwnLimits>();

function ownLimitsOf(context: PluginContext): OwnLimits {
  const known = ownLimits.get(context.config) ?? new OwnLimits(context);
  ownLimits.set(context.config, known);
  return known;
}

/** What is kept of a request until it ends. */
interface Admitted {
  readonly standings: readonly Standing[];
  leave?(): void;
}

/** Kept on the exchange itself: a map of exchanges costs eight microseconds a request, in the collector. */
const ADMITTED = Symbol('aya.rateLimit');
type Kept = Exchange & { [ADMITTED]?: Admitted };

type Done = (error?: Error) => void;

class RateLimit implements Concern {
  readonly #limits: readonly CompiledLimit[];
  readonly #plain: PlainCheck | undefined;
  readonly #own: OwnLimits;
  readonly #counters: Readonly<Record<Decision, Counter>>;

  constructor(
    limits: readonly CompiledLimit[],
    plain: PlainCheck | undefined,
    own: OwnLimits,
    { counter }: PluginContext,
  ) {
    this.#limits = limits;
    this.#plain = plain;
    this.#own = own;
    this.#counters = {
      allowed: counter(COUNTER, 'allowed'),
      limited: counter(COUNTER, 'limited'),
      shadow: counter(COUNTER, 'shadow'),
    };
  }

  onRequest(exchange: Exchange, _reply: unknown, done: Done): void {
    const { principal } = exchange;
    const own = principal === undefined ? NO_LIMITS : this.#own.of(principal);
    if (own instanceof Promise) own.then((limits) => this.#admit(exchange, limits, done), done);
    else this.#admit(exchange, own, done);
  }

  onAnswer(exchange: Exchange, fields: string[]): void {
    const { [ADMITTED]: admitted } = exchange as Kept;
    if (admitted !== undefined) tell(admitted.standings, fields);
  }

  onEnd(exchange: Exchange): void {
    (exchange as Kept)[ADMITTED]?.leave?.();
  }

  #admit(exchange: Exchange, own: readonly CompiledLimit[], done: Done): void {
    if (isOver(exchange)) return;
    if (own === NO_LIMITS && this.#plain !== undefined) {
      this.#plain(exchange).then(
        (verdict) => {
          const charged = this.#limits[0]!.charges[0]!;
          if (!verdict.isExempt) this.#keep(exchange, { standings: [standingOf(this.#limits[0]!, charged, verdict)] });
          const refusal = verdict.allowed ? undefined : refusalOf(charged, verdict);
          this.#decide(exchange, verdict.allowed ? 'allowed' : 'limited', refusal, done);
        },
        (error: GatewayError) => this.#decide(exchange, 'limited', error, done),
      );
      return;
    }
    const limits = own === NO_LIMITS ? this.#limits : [...this.#limits, ...own];
    const admission = new Admission(exchange, limits, (decision, refusal) =>
      this.#decide(exchange, decision, refusal, done),
    );
    // Before it is asked for anything: whatever it takes is given back when the exchange ends.
    this.#keep(exchange, admission);
    admission.start();
  }

  #keep(exchange: Exchange, admitted: Admitted): void {
    if (!isOver(exchange)) (exchange as Kept)[ADMITTED] = admitted;
  }

  #decide(exchange: Exchange, decision: Decision, refusal: GatewayError | undefined, done: Done): void {
    this.#counters[decision].increment();
    // A store may have been asked; the client may have left meanwhile, and then nobody waits for an answer.
    if (!isOver(exchange)) done(refusal);
  }
}

const isOver = ({ res }: Exchange): boolean => res.destroyed;
