/** What tests of balancers share: candidates, requests, and counting who was picked. */
import { seededRandom } from '../../src/clock.ts';
import { EndpointTable } from '../../src/memory/endpoint-table.ts';
import type { Balancer, BalancerContext, Candidate, PickRequest } from '../../src/upstream/endpoint.ts';
import { FakeClock } from './fake-clock.ts';

/** Enough of them for the law of large numbers, few enough to stay quick. */
export const SEEDS: readonly number[] = Array.from({ length: 20 }, (_, seed) => seed + 1);

export interface Bench extends BalancerContext {
  readonly clock: FakeClock;
}

export function pickContext(seed = 1, hash?: string): Bench {
  return {
    table: EndpointTable.allocate(1, 2048),
    clock: new FakeClock(),
    random: seededRandom(seed),
    ...(hash === undefined ? {} : { hash }),
  };
}

/** One candidate per weight, at 10.0.0.1, 10.0.0.2 …, in rows 0, 1 … */
export function candidates(...weights: number[]): Candidate[] {
  return weights.map((weight, row) => ({ url: `http://10.0.${row >> 8}.${row & 255}:8080`, weight, row }));
}

/** A request of its own client, user, consumer and path: every hash balancer sees a new key for each number. */
export function requestOf(number: number): PickRequest {
  return {
    clientAddress: `192.${(number >> 16) & 255}.${(number >> 8) & 255}.${number & 255}`,
    path: `/items/${number}`,
    target: `/items/${number}?page=1`,
    consumer: `consumer-${number}`,
    header: (name) => (name === 'x-user' ? `user-${number}` : undefined),
    cookie: (name) => (name === 'session' ? `session-${number}` : undefined),
    query: (name) => (name === 'tenant' ? `tenant-${number}` : undefined),
  };
}

/** The share of each row in so many picks, each of another client, none of which stays in flight. */
export function sharesOf(balancer: Balancer, rows: number, picks: number): number[] {
  const counts = Array.from({ length: rows }, () => 0);
  for (let number = 0; number < picks; number++) counts[balancer.pick(requestOf(number))!.row]! += 1;
  return counts.map((count) => count / picks);
}
