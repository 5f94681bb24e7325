/**
 * Takes the time that a caller has left from `x-request-deadline`, and has upstreams told what is left of it with each try.
 * What comes too late is answered at once, and what is under way ends when nobody waits for it any more.
 */
import type { Clock } from '../../src/clock.ts';
import type { Exchange } from '../../src/data/exchange.ts';
import { DEADLINE_FIELD } from '../../src/upstream/time-left.ts';
import { GatewayError } from '../../src/errors.ts';
import { definePlugin } from '../../src/extension.ts';
import { readDeadline } from './read.ts';
import type { DeadlineConfig } from './schema.ts';

export default definePlugin<DeadlineConfig | false>({
  name: 'deadline',
  phase: 'limit',

  check(config) {
    if (config === false || config.trust.length > 0 || config.send !== 'none') return [];
    return [{ path: [], message: 'believes nobody and tells nothing: say false, or give it one of trust and send' }];
  },

  create(config, { clock }) {
    if (config === false) return {};
    const isTrusted = compileTrust(config.trust);
    return {
      onRequest(exchange, _reply, done) {
        exchange.upstream.tellsDeadline = config.send;
        const text = exchange.header(DEADLINE_FIELD);
        if (text === undefined) return done();
        removeField(exchange.upstream.fields);
        if (!isTrusted(exchange)) return done();
        done(take(text, exchange, clock));
      },
    };
  },
});

function compileTrust(trust: DeadlineConfig['trust']): (exchange: Exchange) => boolean {
  if (trust.includes('everyone')) return () => true;
  const [proxies, consumers] = [trust.includes('proxies'), trust.includes('consumers')];
  return ({ client, consumer }) => (proxies && client.trusted) || (consumers && consumer !== '');
}

/** @returns why it is not served. */
function take(text: string, exchange: Exchange, clock: Clock): GatewayError | undefined {
  const { times, startedAt } = exchange;
  const deadlineAt = readDeadline(text, startedAt, clock);
  if (Number.isNaN(deadlineAt)) {
    const detail = `${DEADLINE_FIELD} is malformed: write what is left (250ms, 1.5s) or the moment (Unix milliseconds).`;
    return new GatewayError('http_request_error', `malformed ${DEADLINE_FIELD}`, { detail });
  }
  times.deadlineAt = deadlineAt;
  if (deadlineAt > clock.now()) return undefined;
  const detail = `${DEADLINE_FIELD} had passed before the request was served.`;
  return new GatewayError('http_response_timeout', detail, { retry: 'never', detail });
}

/** However often it was sent. */
function removeField(fields: string[]): void {
  for (let at = fields.length - 2; at >= 0; at -= 2) {
    if (fields[at]!.toLowerCase() === DEADLINE_FIELD) fields.splice(at, 2);
  }
}
