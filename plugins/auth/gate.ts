/** Asks who a request is: the first method whose credential it carries decides. One for each route. */
import type { FastifyReply } from 'fastify';
import { networkOf } from '../../src/client-network.ts';
import type { Exchange } from '../../src/data/exchange.ts';
import type { Principal } from '../../src/data/principal.ts';
import { GatewayError } from '../../src/errors.ts';
import type { Limiter } from '../../src/limits/limiter.ts';
import type { Counter } from '../../src/memory/counter-table.ts';
import { tellUpstream } from './identity.ts';
import type { IdentityTokens } from './identity-tokens.ts';
import type { Authenticator } from './method.ts';
import { Refusal, type RefusalAnswer, type RefusalReason } from './refusal.ts';

export const OUTCOMES = [
  'ok',
  'anonymous',
  'missing',
  'invalid',
  'expired',
  'forbidden',
  'unavailable',
  'blocked',
] as const;
export type Outcome = (typeof OUTCOMES)[number];

type Done = (error?: Error) => void;

const STATUS: Readonly<Record<RefusalReason, number>> = {
  invalid: 401,
  expired: 401,
  forbidden: 403,
  unavailable: 503,
};
const DETAIL: Readonly<Record<RefusalReason, string>> = {
  invalid: 'The credentials are not valid.',
  expired: 'The credentials have expired.',
  forbidden: 'The credentials do not allow this.',
  unavailable: 'The credentials cannot be verified at the moment.',
};

export interface GateParts {
  readonly methods: readonly Authenticator[];
  readonly optional: boolean;
  /** Of refused credentials, by address. */
  readonly failures: Limiter | undefined;
  /** What the upstream can verify of the caller. */
  readonly identity: IdentityTokens | undefined;
  readonly counters: Readonly<Record<Outcome, Counter>>;
}

export class Gate {
  readonly #parts: GateParts;
  /** Those who have to be asked about each request, and those who may answer for nobody. */
  readonly #intercepting: readonly Authenticator[];
  readonly #withholding: readonly Authenticator[];
  readonly #inviting: readonly Authenticator[];
  /** What a request without credentials is asked for. */
  readonly #challenges: readonly string[];

  constructor(parts: GateParts) {
    const { methods } = parts;
    this.#parts = parts;
    this.#intercepting = methods.filter(({ intercept }) => intercept !== undefined);
    this.#withholding = methods.filter(({ withhold }) => withhold !== undefined);
    this.#inviting = methods.filter(({ invite }) => invite !== undefined);
    this.#challenges = methods.flatMap(({ challenge }) =>
      challenge === undefined ? [] : ['www-authenticate', challenge],
    );
  }

  admit(exchange: Exchange, reply: FastifyReply, done: Done): void {
    for (const method of this.#intercepting) if (method.intercept!(exchange, reply)) return;
    for (const method of this.#withholding) method.withhold!(exchange);
    const method = this.#parts.methods.find((each) => each.carries(exchange));
    if (method === undefined) return this.#nobody(exchange, reply, done);
    const { failures } = this.#parts;
    if (failures === undefined) return this.#ask(method, exchange, reply, done);
    // Whoever has guessed too often is not heard, right or wrong: else the answer would tell.
    failures.take(networkOf(exchange.clientAddress), 0, (verdict) => {
      if (verdict.remaining >= 1) this.#ask(method, exchange, reply, done);
      else this.#block(verdict.resetMs, done);
    });
  }

  #ask(method: Authenticator, exchange: Exchange, reply: FastifyReply, done: Done): void {
    let outcome: Principal | Refusal | undefined;
    try {
      outcome = method.authenticate(exchange, (later) => this.#decide(later, method, exchange, reply, done));
    } catch (error) {
      // A bug. Where the store was asked before, nobody is above us, and the thread would end.
      return done(error instanceof Error ? error : new Error(String(error)));
    }
    if (outcome !== undefined) this.#decide(outcome, method, exchange, reply, done);
  }

  #decide(
    outcome: Principal | Refusal,
    method: Authenticator,
    exchange: Exchange,
    reply: FastifyReply,
    done: Done,
  ): void {
    if (outcome instanceof Refusal) return this.#refuse(outcome, method, exchange, reply, done);
    this.#parts.counters.ok.increment();
    exchange.principal = outcome;
    tellUpstream(outcome, exchange.upstream.fields, this.#parts.identity);
    done();
  }

  #nobody(exchange: Exchange, reply: FastifyReply, done: Done): void {
    const { counters, optional } = this.#parts;
    if (optional) {
      counters.anonymous.increment();
      return done();
    }
    counters.missing.increment();
    if (this.#invited(exchange, reply)) return;
    done(
      new GatewayError('http_request_denied', 'auth: no credentials', {
        // RFC 9110 §15.5.2: a 401 has to say how; where no scheme of HTTP would do, it is a 403.
        status: this.#challenges.length === 0 ? 403 : 401,
        detail: 'Credentials are needed.',
        fields: this.#challenges,
      }),
    );
  }

  #refuse(refusal: Refusal, method: Authenticator, exchange: Exchange, reply: FastifyReply, done: Done): void {
    const { counters, failures } = this.#parts;
    const { reason, retryAfterSeconds } = refusal;
    counters[reason].increment();
    // A token that ran out is no guess.
    if (reason === 'invalid') failures?.take(networkOf(exchange.clientAddress), 1, () => {});
    if (reason === 'expired' && this.#invited(exchange, reply)) return;
    if (refusal.answer !== undefined) return passOn(refusal.answer, reply);
    const challenge = reason === 'unavailable' ? undefined : (refusal.challenge ?? method.challenge);
    done(
      new GatewayError('http_request_denied', `auth.${method.name}: ${refusal.message}`, {
        status: STATUS[reason] === 401 && challenge === undefined ? 403 : STATUS[reason],
        detail: DETAIL[reason],
        ...(challenge === undefined ? {} : { fields: ['www-authenticate', challenge] }),
        ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
      }),
    );
  }

  #invited(exchange: Exchange, reply: FastifyReply): boolean {
    return this.#inviting.some((method) => method.invite!(exchange, reply));
  }

  #block(forMs: number, done: Done): void {
    this.#parts.counters.blocked.increment();
    done(
      new GatewayError('http_request_denied', 'auth.failures: too many refused credentials', {
        status: 429,
        detail: 'Too many refused credentials came from this address (auth.failures).',
        retryAfterSeconds: Math.max(1, Math.ceil(forMs / 1000)),
      }),
    );
  }
}

/** The answer's length is Fastify's to say. */
function passOn({ status, fields, body }: RefusalAnswer, reply: FastifyReply): void {
  void reply.code(status);
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at]!.toLowerCase();
    const value = fields[at + 1]!;
    if (name === 'content-length') continue;
    // Of Set-Cookie alone Fastify keeps several by itself.
    const before = name === 'set-cookie' ? undefined : reply.getHeader(name);
    void reply.header(name, before === undefined ? value : [before, value].flat().map(String));
  }
  void reply.send(body);
}
