/** One request against its contract: what is wrong with it is refused, or only counted and told. */
import type { Exchange } from '../../src/data/exchange.ts';
import { readBody, type BodyLimit } from '../../src/data/request-body.ts';
import { GatewayError } from '../../src/errors.ts';
import type { PluginContext } from '../../src/extension.ts';
import { complaint, invalid, MOST_COMPLAINTS, type Complaint } from './complaint.ts';
import { isJson, isWithin, parseMediaType } from './content-type.ts';
import type { BodyContract, Contract } from './contract.ts';
import { decode, parseCodings } from './decode.ts';
import { NotJson, readJson } from './json.ts';
import type { ValidateOptions } from './options.ts';
import { checkParameters } from './parameters.ts';
import type { Validator } from './schemas.ts';

/** What holds for a request, and the values that its path gave to parameters. */
export interface Applied {
  readonly contract: Contract;
  readonly path: ReadonlyMap<string, string>;
}

export type OnJudged = (refusal?: Error) => void;

const OUTCOMES = 'aya_validation_total';
/** Of one route, on one thread. */
const REPORT_EVERY_MS = 1000;

export class Validation {
  readonly #find: (exchange: Exchange) => Applied | undefined;
  readonly #options: ValidateOptions;
  readonly #context: PluginContext;
  readonly #largest: BodyLimit;
  #reportedAt = -Infinity;

  /** @param find undefined: nothing is said of such a request. @throws GatewayError: it should not be. */
  constructor(find: (exchange: Exchange) => Applied | undefined, options: ValidateOptions, context: PluginContext) {
    this.#find = find;
    this.#options = options;
    this.#context = context;
    this.#largest = { bytes: options.maxBody, name: 'validate.maxBody' };
  }

  judge(exchange: Exchange, done: OnJudged): void {
    let validate: Validator | undefined;
    try {
      const applied = this.#find(exchange);
      if (applied === undefined) return done();
      this.#checkParameters(exchange, applied);
      validate = checkHead(exchange, applied.contract.body);
    } catch (error) {
      return this.#settle(exchange, error as Error, done);
    }
    if (validate === undefined) this.#settle(exchange, undefined, done);
    else this.#judgeBody(exchange, validate, done);
  }

  #checkParameters(exchange: Exchange, { contract, path }: Applied): void {
    const complaints = contract.parameters.flatMap((group) => checkParameters(group, exchange, path) ?? []);
    if (complaints.length > 0) throw invalid(complaints);
  }

  #judgeBody(exchange: Exchange, validate: Validator, done: OnJudged): void {
    const settle = (refusal: Error | undefined) => this.#settle(exchange, refusal, done);
    readBody(exchange, this.#largest, (tooMuch, body) => {
      if (tooMuch !== undefined) {
        if (this.#options.mode === 'report') exchange.heldBody?.putBack();
        return settle(tooMuch);
      }
      let codings;
      try {
        codings = parseCodings(exchange.header('content-encoding'));
      } catch (error) {
        return settle(error as Error);
      }
      const isWanted = () => !exchange.res.destroyed;
      decode(body, codings, this.#options.maxDecoded, isWanted, (undecodable, bytes) =>
        settle(undecodable ?? this.#judgeJson(bytes, validate)),
      );
    });
  }

  #judgeJson(bytes: Buffer, validate: Validator): Error | undefined {
    try {
      const complaints = validate(readJson(bytes, this.#options));
      return complaints === undefined ? undefined : invalid(complaints);
    } catch (error) {
      return error instanceof NotJson ? invalid([complaint('body', error.message)]) : (error as Error);
    }
  }

  /** @param refusal what speaks against the request; not a GatewayError: a bug, whatever the mode. */
  #settle(exchange: Exchange, refusal: Error | undefined, done: OnJudged): void {
    const isBug = refusal !== undefined && !(refusal instanceof GatewayError);
    const isReport = this.#options.mode === 'report' && !isBug;
    const outcome = refusal === undefined ? 'valid' : isReport ? 'reported' : 'invalid';
    this.#context.counter(OUTCOMES, outcome).increment();
    if (!isReport) return done(refusal);
    if (refusal !== undefined) this.#report(exchange, refusal);
    done();
  }

  #report(exchange: Exchange, refusal: GatewayError): void {
    const now = this.#context.clock.now();
    if (now - this.#reportedAt < REPORT_EVERY_MS) return;
    this.#reportedAt = now;
    const errors = refusal.extensions?.errors as readonly Complaint[] | undefined;
    const fields = { event: 'validation_reported', route: exchange.routeName, requestId: exchange.id };
    const told = errors?.slice(0, MOST_COMPLAINTS) ?? refusal.detail;
    this.#context.log.warn({ ...fields, status: refusal.status, errors: told }, 'a request would have been refused');
  }
}

/** What can be said of a body before it is read. @returns what judges it; undefined when it need not be read. */
function checkHead(exchange: Exchange, contract: BodyContract | undefined): Validator | undefined {
  if (contract === undefined) return undefined;
  const { isRequired, types } = contract;
  if (exchange.upstream.body === null) {
    const isMissed = typeof isRequired === 'function' ? isRequired(exchange.method) : isRequired;
    if (isMissed) throw invalid([complaint('body', 'is missing')]);
    return undefined;
  }
  const type = parseMediaType(exchange.header('content-type') ?? '');
  const found = type && types.find(({ range }) => isWithin(type.essence, range));
  if (type === undefined || found === undefined) throw unsupported(types.map(({ range }) => range));
  if (found.validate === undefined || !isJson(type.essence)) return undefined;
  if (type.charset !== undefined && type.charset !== 'utf-8') throw unsupported([`${found.range}; charset=utf-8`]);
  return found.validate;
}

function unsupported(accepted: readonly string[]): GatewayError {
  return new GatewayError('http_request_denied', 'content type of the body', {
    status: 415,
    detail:
      accepted.length === 0
        ? 'This operation takes no body.'
        : `The Content-Type of the body must be exactly one of: ${accepted.join(', ')}.`,
    // RFC 9110 §15.5.16
    ...(accepted.length === 0 ? {} : { fields: ['accept', accepted.join(', ')] }),
  });
}
