/**
 * One instance of a service as one data thread sees it: its configuration, its row in the shared table and its own
 * connections. The same object serves every generation in which pool, address and TLS identity are the same.
 */
import type { Clock, Random } from '../clock.ts';
import type { EndpointTable } from '../memory/endpoint-table.ts';

/** What a balancer may know of an endpoint. */
export interface Candidate {
  /** Stable identity for hashing: its URL. */
  readonly url: string;
  readonly weight: number;
  /** Its row in the endpoint table. */
  readonly row: number;
  /** It starts slowly: `weight` is only a part of its own, and bounds its share whatever the policy would give it. */
  readonly isWarming?: boolean;
}

/** What a balancer may know of a request. All are cheap or computed when first asked for. */
export interface PickRequest {
  readonly clientAddress: string;
  /** Path without query. */
  readonly path: string;
  /** Path and query. */
  readonly target: string;
  readonly consumer: string;
  /** First value of the field, or undefined. @param name in lower case. */
  header(name: string): string | undefined;
  cookie(name: string): string | undefined;
  query(name: string): string | undefined;
}

/** A balancer picks; it does not serve, and it knows nothing of health: it is given only those that may be used. */
export interface Balancer<Endpoint extends Candidate = Candidate> {
  /** Replaces the set to choose from. Called on change, never per request; keeps what it learnt by row. */
  update(endpoints: readonly Endpoint[]): void;
  /**
   * One of the set, or undefined when it is empty or all weights are zero. Allocates nothing.
   * @param now saves a look at the clock.
   */
  pick(request: PickRequest, now?: number): Endpoint | undefined;
  /** The hash that it picks by; undefined where the request has none. Absent: it goes by other things. */
  key?(request: PickRequest): number | undefined;
  /** What it compares, where it compares: the lowest is picked. For decision records, just after the pick. */
  cost?(endpoint: Endpoint): number;
  /** What it makes of the weight of one, where it makes something of it. */
  weightOf?(endpoint: Endpoint): number;
}

export interface BalancerContext {
  readonly table: EndpointTable;
  readonly clock: Clock;
  readonly random: Random;
  /** Source of a hash key, for `{ hash: header:x-user }`; undefined for named policies. */
  readonly hash?: string;
}

export interface BalancerDefinition {
  /** The word after `balance:`; the file's name. `hash` is chosen by `{ hash: … }`. */
  readonly name: string;
  create<Endpoint extends Candidate>(context: BalancerContext): Balancer<Endpoint>;
}

/** Latency average that a new sample joins; see latency.ts. */
export interface LatencyRecorder {
  /** @param now saves a look at the clock. */
  record(row: number, durationMs: number, failed: boolean, now?: number): void;
  /** There was no answer to wait for any longer, and no verdict: it takes at least as long as that. */
  waited(row: number, durationMs: number, now?: number): void;
}
