/**
 * Asks another service whether a request may pass: 2xx lets it pass; of what else it says, a 4xx or 3xx goes to the
 * client as it is (a login, a challenge), and anything that is no decision refuses: whoever cannot be asked allows nothing.
 */
import type { Clock } from '../../../src/clock.ts';
import type { Dispatch } from '../../../src/data/dispatch.ts';
import type { Exchange } from '../../../src/data/exchange.ts';
import type { Principal } from '../../../src/data/principal.ts';
import { plainName, withholdLike } from '../../../src/data/withhold.ts';
import type { Pool } from '../../../src/upstream/pool.ts';
import { defineMethod, type Authenticator } from '../method.ts';
import { Refusal } from '../refusal.ts';
import { Decisions } from './decisions.ts';
import { ask, type Answer } from './question.ts';
import type { ForwardAuthOptions } from './schema.ts';

export default defineMethod<ForwardAuthOptions>({
  name: 'forwardAuth',
  check({ pool }, _route, pools) {
    return pools.has(pool) ? [] : [{ path: ['pool'], message: `no pool is named '${pool}'` }];
  },
  pools: ({ pool }) => [pool],
  create: (options, { pool, send, clock }) => new ForwardAuth(options, pool(options.pool), send, clock),
});

type Later = (outcome: Principal | Refusal) => void;

class ForwardAuth implements Authenticator {
  readonly name = 'forwardAuth';
  readonly challenge = undefined;
  readonly #options: ForwardAuthOptions;
  readonly #pool: Pool;
  readonly #send: Dispatch;
  readonly #clock: Clock;
  /** The names of `responseHeaders`. */
  readonly #answered: ReadonlySet<string>;
  readonly #decisions: Decisions | undefined;

  constructor(options: ForwardAuthOptions, pool: Pool, send: Dispatch, clock: Clock) {
    this.#options = options;
    this.#pool = pool;
    this.#send = send;
    this.#clock = clock;
    const { cache, requestHeaders, responseHeaders } = options;
    this.#answered = new Set(responseHeaders.map(plainName));
    this.#decisions = cache === undefined ? undefined : new Decisions({ by: requestHeaders, ...cache }, clock);
  }

  /** It may let anybody pass, or send them to a login: so it is asked about everybody. */
  carries(): boolean {
    return true;
  }

  /** A client must not be able to say what only the service may say, whether the service says it, or is asked, or not. */
  withhold({ upstream }: Exchange): void {
    if (this.#answered.size > 0) withholdLike(upstream, this.#answered);
  }

  authenticate(exchange: Exchange, later: Later): Principal | Refusal | undefined {
    const key = this.#decisions?.keyOf(exchange);
    const known = key === undefined ? undefined : this.#decisions?.get(key);
    if (known !== undefined) return this.#outcome(known, exchange);
    const decide = (answer: Answer) => later(this.#outcome(answer, exchange));
    if (key === undefined) this.#ask(exchange, decide);
    // Others who ask the same meanwhile wait for this answer.
    else if (this.#decisions!.await(key, decide)) {
      this.#ask(exchange, (answer) => this.#decisions!.settle(key, answer));
    }
    return undefined;
  }

  #ask(exchange: Exchange, done: (answer: Answer) => void): void {
    ask(exchange, this.#options, this.#pool, this.#send, this.#clock, done);
  }

  #outcome(answer: Answer, exchange: Exchange): Principal | Refusal {
    if (answer.status === 0 || answer.status >= 500) {
      return new Refusal('unavailable', answer.failure ?? `status ${answer.status}`, { retryAfterSeconds: 1 });
    }
    if (answer.status >= 300) {
      const { status, fields, body } = answer;
      return new Refusal('forbidden', `status ${status}`, { answer: { status, fields, body } });
    }
    for (const name of this.#options.responseHeaders) {
      for (const value of valuesOf(answer.fields, name)) exchange.upstream.fields.push(name, value);
    }
    return {
      method: this.name,
      subject: this.#value(answer, this.#options.principal),
      consumer: undefined,
      groups: listOf(this.#value(answer, this.#options.groups)),
      scopes: [],
      claims: {},
      ambient: isAmbient(exchange),
    };
  }

  #value({ fields }: Answer, name: string | undefined): string {
    return name === undefined ? '' : (valuesOf(fields, name)[0] ?? '');
  }
}

/** What browsers repeat by themselves, whoever wrote the page. */
const REPEATED = /^(?:basic|digest|negotiate|ntlm)(?: |$)/i;

function isAmbient(exchange: Exchange): boolean {
  const authorization = exchange.header('authorization');
  return authorization === undefined ? exchange.header('cookie') !== undefined : REPEATED.test(authorization);
}

function valuesOf(fields: readonly string[], name: string): string[] {
  const wanted = name.toLowerCase();
  return fields.filter((_, at) => at % 2 === 1 && fields[at - 1]!.toLowerCase() === wanted);
}

function listOf(text: string): string[] {
  return text
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');
}
