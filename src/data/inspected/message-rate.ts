/** How many messages may come: of one connection, counted where it is; of a consumer, in the tables of all limits. */
import type { Clock } from '../../clock.ts';
import type { MessageRateConfig } from '../../config/schema.ts';
import type { Limiter, Limits } from '../../limits/limiter.ts';
import { networkOf } from '../../client-network.ts';
import type { Exchange } from '../exchange.ts';

/** Charges one message. `refuse` may be called later, where a store has to be asked: the message has passed then. */
export type Charge = (refuse: () => void) => void;

/** @returns what makes the charge of each connection. */
export function compileRates(
  rates: readonly MessageRateConfig[],
  routeName: string,
  limits: Limits,
  clock: Clock,
): (exchange: Exchange) => readonly Charge[] {
  const makers = rates.map((rate, index) => {
    if (rate.by === 'connection') return () => ofConnection(rate, clock);
    const { max, per: windowMs } = rate;
    // Like every limit, it goes on counting through a reload that leaves it as it is.
    const name = `websocket:${routeName}:${index}`;
    const limiter = limits.limiter({ name, algorithm: 'gcra', max, windowMs, burst: max });
    return (exchange: Exchange) => ofConsumer(limiter, exchange);
  });
  return (exchange) => makers.map((make) => make(exchange));
}

/** The generic cell rate algorithm, as src/limits/gcra.ts has it for keys: the moment at which all is there again. */
function ofConnection({ max, per }: MessageRateConfig, clock: Clock): Charge {
  const unitMs = per / max;
  let fullAt = 0;
  return (refuse) => {
    const now = clock.now();
    const after = Math.max(fullAt, now) + unitMs;
    if (after - now > per + unitMs / 2) refuse();
    else fullAt = after;
  };
}

function ofConsumer(limiter: Limiter, exchange: Exchange): Charge {
  const key = callerOf(exchange);
  return (refuse) =>
    limiter.take(key, 1, ({ allowed }) => {
      if (!allowed) refuse();
    });
}

/** As the limit of requests names callers. */
function callerOf({ principal, clientAddress }: Exchange): string {
  if (principal === undefined) return `ip:${networkOf(clientAddress)}`;
  const { consumer, method, subject } = principal;
  return consumer === undefined ? `subject:${method}:${subject}` : `consumer:${consumer.name}`;
}
