/**
 * What the control plane and a data thread say to each other. Everything is plain data. The order of a reload is
 * `prepare` to all, `prepared` from all, `commit` to all; one `refused` and all get `discard`.
 */
import type { Config, ListenerConfig } from '../config/schema.ts';
import type { LimitBuffers } from '../limits/memory-limits.ts';
import type { RedisOptions } from '../store/options.ts';
import type { TlsFiles } from '../config/tls-files.ts';
import type { CacheTableBuffers } from '../memory/cache-table.ts';
import type { CounterTableBuffers } from '../memory/counter-table.ts';
import type { EndpointTableBuffers } from '../memory/endpoint-table.ts';
import type { MetricTableBuffers } from '../memory/metric-table.ts';
import type { DecisionBatch } from './decisions/batch.ts';
import type { SessionTableBuffers } from '../memory/session-table.ts';
import type { BreakerMove } from '../upstream/breaker.ts';
import type { RemoteDocument } from './documents.ts';
import type { SharedConsumers } from './shared-consumers.ts';

/** One configuration with the rows that the control plane gave to its parts. */
export interface GenerationPlan {
  readonly id: number;
  /** Without its consumers. */
  readonly config: Config;
  readonly consumers: SharedConsumers;
  /** Row of each endpoint, by `endpointKey(pool, endpoint)`, and of each pool, by `poolKey(pool)`. */
  readonly endpointRows: ReadonlyMap<string, number>;
  /** Row of each route in the metric table, by route name. */
  readonly routeRows: ReadonlyMap<string, number>;
  /** Of each listener: its certificates and keys, which are no part of the configuration that operators are shown. */
  readonly tlsFiles: readonly (TlsFiles | undefined)[];
}

/** What a thread is born with (`workerData`). */
export interface ThreadData {
  /** 0 … threads - 1; a thread that replaces a dead one takes its number. */
  readonly thread: number;
  readonly threads: number;
  readonly endpoints: EndpointTableBuffers;
  readonly metrics: MetricTableBuffers;
  readonly counters: CounterTableBuffers;
  readonly limits: LimitBuffers;
  readonly cache: CacheTableBuffers;
  readonly sessions: SessionTableBuffers;
  /** Where several gateways count together; absent: memory. */
  readonly store?: RedisOptions | undefined;
  /** Where several gateways share answers; absent: nowhere. */
  readonly answerStore?: RedisOptions | undefined;
  /** What TLS session tickets are sealed with: the first, and read with: all. */
  readonly ticketSecrets: readonly Uint8Array[];
  /** One heartbeat cell per thread, counted up by it a few times a second: a still one is wedged. */
  readonly heartbeats: SharedArrayBuffer;
  /** Client connections over all threads: `ConnectionTable.allocate(threads).shared`. */
  readonly connections: SharedArrayBuffer;
}

export type ToThread =
  | { readonly kind: 'prepare'; readonly plan: GenerationPlan }
  | { readonly kind: 'commit'; readonly id: number }
  | { readonly kind: 'discard'; readonly id: number }
  /** A document of another server has been fetched, or could not be; also the answer to `refresh`. */
  | { readonly kind: 'document'; readonly document: RemoteDocument }
  /** All consumers of the store, in place of those before. */
  | { readonly kind: 'consumers'; readonly consumers: SharedConsumers }
  /** All answers to authorities of certificates, by token, in place of those before. */
  | { readonly kind: 'challenges'; readonly pending: ReadonlyMap<string, string> }
  /** Closes the WebSockets of an endpoint: its clients are told to come back. */
  | { readonly kind: 'leave'; readonly row: number }
  /** In place of `ThreadData.ticketSecrets`. */
  | { readonly kind: 'tickets'; readonly secrets: readonly Uint8Array[] }
  /** Opens the sockets; only after the first commit. Ports are never 0 except for the first thread. */
  | { readonly kind: 'listen'; readonly listeners: readonly ListenerConfig[]; readonly reusePort: boolean }
  /**
   * From now on answers end their connections. After `delayMs` takes no new ones, finishes what is in flight, cuts the rest
   * after `timeoutMs` more, then says `drained`.
   */
  | { readonly kind: 'drain'; readonly delayMs: number; readonly timeoutMs: number };

export type FromThread =
  | { readonly kind: 'prepared'; readonly id: number }
  | { readonly kind: 'refused'; readonly id: number; readonly reason: string }
  | { readonly kind: 'listening'; readonly ports: readonly number[] }
  /** The endpoint has reached its pool's consecutive failures: the control plane decides whether to eject it. */
  | { readonly kind: 'suspect'; readonly row: number; readonly failures: number; readonly reason: string }
  /** The thread has moved the breaker of a row (memory/breaker-table.ts). */
  | { readonly kind: 'breaker'; readonly row: number; readonly move: BreakerMove }
  /** How some requests were decided. */
  | { readonly kind: 'decisions'; readonly batch: DecisionBatch }
  /** Something is missing in what is there: answered by `document`. */
  | { readonly kind: 'refresh'; readonly url: string }
  /** The generation has no request left and its resources are closed. */
  | { readonly kind: 'released'; readonly id: number }
  | { readonly kind: 'drained'; readonly cut: number };

/** Both ends of the line, so that a data plane runs the same in a worker thread and inside a test. */
export interface Line<Sent, Received> {
  send(message: Sent): void;
  onMessage(receive: (message: Received) => void): void;
}

export type { ListenerConfig };
