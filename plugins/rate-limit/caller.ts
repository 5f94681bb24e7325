/** Who is charged for a request, as a key; and what. Kinds of keys are told apart, so that no name is an address. */
import { hash } from 'node:crypto';
import type { Clock } from '../../src/clock.ts';
import type { LimitCost } from '../../src/config/rate-limit-schema.ts';
import { networkOf } from '../../src/client-network.ts';
import type { Exchange } from '../../src/data/exchange.ts';
import type { WrittenLimit } from '../../src/limits/written.ts';

export type KeyOf = (exchange: Exchange) => string;
export type CostOf = (exchange: Exchange) => number;

export async function compileKey(by: WrittenLimit['by'], clock: Clock): Promise<KeyOf> {
  if (typeof by === 'object') return byExpression(by.cel, clock);
  const [kind, name = ''] = by.split(/:(.*)/s);
  switch (kind) {
    case 'consumer':
      return byConsumer;
    case 'group':
      if (name !== '') return () => by;
      return ({ principal, clientAddress }) => keyOr('group', principal?.groups[0], clientAddress);
    case 'header': {
      const field = name.toLowerCase();
      return (exchange) => keyOr('header', exchange.header(field), exchange.clientAddress);
    }
    case 'claim':
      return ({ principal, clientAddress }) => keyOr('claim', scalarClaim(principal?.claims, name), clientAddress);
    case 'route':
      return ({ routeName }) => `route:${routeName}`;
    default:
      return byAddress;
  }
}

/** Proven, but no consumer of ours: it still is somebody. */
function byConsumer(exchange: Exchange): string {
  const { principal } = exchange;
  if (principal === undefined) return byAddress(exchange);
  const { consumer, method, subject } = principal;
  return consumer === undefined ? `subject:${method}:${subject}` : `consumer:${consumer.name}`;
}

function byAddress({ clientAddress }: Exchange): string {
  return `ip:${networkOf(clientAddress)}`;
}

/** What is longer is known by its hash: with a store each thread keeps the keys of many callers, who choose them. */
const LONGEST_VALUE = 128;

/** Without what it is counted by, a request is counted by its address: leaving a field out must not free anybody. */
function keyOr(kind: string, value: string | undefined, address: string): string {
  if (value === undefined || value === '') return `ip:${networkOf(address)}`;
  return `${kind}:${value.length > LONGEST_VALUE ? hash('sha256', value) : value}`;
}

function scalarClaim(claims: Readonly<Record<string, unknown>> | undefined, name: string): string | undefined {
  if (claims === undefined || !Object.hasOwn(claims, name)) return undefined;
  const value = claims[name];
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? String(value)
    : undefined;
}

async function byExpression(source: string, clock: Clock): Promise<KeyOf> {
  const [{ compileExpression }, { factsOf }] = await Promise.all([
    import('../../src/expressions/expression.ts'),
    import('../../src/expressions/facts.ts'),
  ]);
  const expression = compileExpression(source, 'string');
  return (exchange) => {
    let value: unknown;
    try {
      value = expression(factsOf(exchange, clock));
    } catch {
      // A parameter or claim that is not there.
    }
    return keyOr('cel', typeof value === 'string' ? value : undefined, exchange.clientAddress);
  };
}

export function compileCost(cost: LimitCost): CostOf {
  if (typeof cost === 'number') return () => cost;
  const field = cost.header.toLowerCase();
  const { max } = cost;
  return (exchange) => {
    const said = exchange.header(field);
    if (said === undefined) return 1;
    // What is not a number could be meant as anything; less than one would be a gift.
    return /^\d{1,10}$/.test(said) ? Math.min(Math.max(1, Number(said)), max) : max;
  };
}
