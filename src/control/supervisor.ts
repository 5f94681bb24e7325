/**
 * The data threads: starts them, brings all of them to a new generation or none, replaces the one that died or wedged
 * while the others serve on, and drains them. What a dead thread had in flight is taken out of the shared counts.
 */
import type { Clock } from '../clock.ts';
import type { DecisionBatch } from '../data/decisions/batch.ts';
import type { FromThread, GenerationPlan, ListenerConfig, ToThread } from '../data/messages.ts';
import type { LimitTables } from '../limits/memory-limits.ts';
import type { RedisOptions } from '../store/options.ts';
import type { ConnectionTable } from '../memory/connection-table.ts';
import type { BreakerMove } from '../upstream/breaker.ts';
import type { CacheTable } from '../memory/cache-table.ts';
import type { CounterTable } from '../memory/counter-table.ts';
import type { EndpointTable } from '../memory/endpoint-table.ts';
import type { SessionTable } from '../memory/session-table.ts';
import type { MetricTable } from '../memory/metric-table.ts';
import { DataThread } from './data-thread.ts';
import { GenerationHolders } from './generation-holders.ts';
import { Heartbeats } from './heartbeats.ts';
import type { ControlLog } from './log.ts';
import type { SpawnThread } from './thread-line.ts';
import { TicketRotation } from './ticket-rotation.ts';
import type { ThreadView } from './view.ts';

const FIRST_BACKOFF_MS = 100;
const LONGEST_BACKOFF_MS = 5_000;
/** A thread that lived this long died of something new. */
const STEADY_AFTER_MS = 10_000;

export interface SupervisorParts {
  readonly threads: number;
  readonly endpoints: EndpointTable;
  readonly metrics: MetricTable;
  readonly counters: CounterTable;
  readonly limits: LimitTables;
  readonly cache: CacheTable;
  readonly sessions: SessionTable;
  readonly store?: RedisOptions | undefined;
  readonly answerStore?: RedisOptions | undefined;
  readonly connections: ConnectionTable;
  readonly spawn: SpawnThread;
  readonly clock: Clock;
  readonly log: ControlLog;
  readonly onSuspect: (row: number, reason: string) => void;
  readonly onBreaker: (row: number, move: BreakerMove) => void;
  readonly onDecisions: (thread: number, batch: DecisionBatch) => void;
  /** A thread misses something in a document. */
  readonly onRefresh: (url: string) => void;
  /** What a thread must know from its start on. */
  readonly greeting: () => readonly ToThread[];
  /** No thread holds the generation any more. */
  readonly onReleased: (generation: number) => void;
}

export class Supervisor {
  readonly #parts: SupervisorParts;
  readonly #seats: readonly DataThread[];
  readonly #heartbeats: Heartbeats;
  readonly #holders: GenerationHolders;
  readonly #deaths: number[];
  readonly #reusePort: boolean;
  readonly #tickets: TicketRotation;
  #plan: GenerationPlan | undefined;
  /** With the actual ports, once the first thread listens. */
  #listeners: readonly ListenerConfig[] = [];
  /** From then on a death is what it is: at the start it is a failure to start, at the end it is the end. */
  #isRunning = false;

  constructor(parts: SupervisorParts) {
    this.#parts = parts;
    this.#holders = new GenerationHolders(parts.onReleased);
    this.#heartbeats = new Heartbeats(
      parts.threads,
      parts.clock,
      (thread) => this.#seats[thread]!.isUp,
      (thread, stillMs) => this.#endWedged(thread, stillMs),
    );
    this.#reusePort = parts.threads > 1;
    this.#tickets = new TicketRotation(parts.clock, (secrets) => this.tellAll({ kind: 'tickets', secrets }));
    this.#seats = Array.from({ length: parts.threads }, (_, thread) => this.#seat(thread));
    this.#deaths = new Array<number>(parts.threads).fill(0);
  }

  /** All threads compile and listen, or it rejects and none is left. */
  async start(plan: GenerationPlan, listeners: readonly ListenerConfig[]): Promise<void> {
    this.#plan = plan;
    this.#listeners = listeners;
    this.#holders.keep(plan.id);
    try {
      // All at once: there is no traffic yet that a compiling thread could hold up.
      await Promise.all(this.#seats.map((seat) => this.#begin(seat)));
      const [first, ...others] = this.#seats;
      const ports = await first!.listen(listeners, this.#reusePort);
      this.#listeners = listeners.map((listener, at) => ({ ...listener, port: ports[at]! }));
      await Promise.all(others.map((seat) => seat.listen(this.#listeners, this.#reusePort)));
    } catch (error) {
      await this.close();
      throw error;
    }
    for (const seat of this.#seats) seat.up();
    this.#isRunning = true;
  }

  /** Each with its actual port. */
  get listeners(): readonly ListenerConfig[] {
    return this.#listeners;
  }

  get threads(): readonly ThreadView[] {
    return this.#seats.map((seat) => seat.view);
  }

  /** Generations that any thread still holds. */
  get generations(): number {
    return this.#holders.generations;
  }

  /** Compiles the plan on all threads, one after another so that the others serve meanwhile. Rejects, and all forget it, when one refuses. */
  async prepareAll(plan: GenerationPlan): Promise<void> {
    const seats = this.#seats.filter((seat) => seat.isUp);
    if (seats.length === 0) throw new Error('no data thread is up to check the configuration');
    this.#holders.keep(plan.id);
    try {
      for (const seat of seats) {
        this.#holders.hold(plan.id, seat.thread);
        await seat.prepare(plan);
      }
    } catch (error) {
      this.discardAll(plan.id);
      throw error;
    }
  }

  /** From the next request on every thread serves the plan; a thread that was not there to prepare it catches up. */
  commitAll(plan: GenerationPlan): void {
    const before = this.#plan;
    this.#plan = plan;
    for (const seat of this.#seats) {
      if (seat.prepared === plan.id) seat.commit(plan.id);
      else if (seat.isUp) this.#catchUp(seat).catch(() => seat.terminate());
    }
    if (before !== undefined) this.#holders.supersede(before.id);
  }

  discardAll(id: number): void {
    for (const seat of this.#seats) if (seat.prepared === id) seat.discard(id);
    this.#holders.drop(id);
  }

  /** To every thread that there is. */
  tellAll(message: ToThread): void {
    for (const seat of this.#seats) seat.tell(message);
  }

  /** From now on a thread that ends is not replaced. @returns how many exchanges were cut at the deadline. */
  async drainAll(delayMs: number, timeoutMs: number): Promise<number> {
    this.#isRunning = false;
    this.#heartbeats.close();
    const drained = this.#seats
      .filter((seat) => seat.isUp)
      .map((seat) => seat.drain(delayMs, timeoutMs).catch(() => 0));
    return (await Promise.all(drained)).reduce((sum, cut) => sum + cut, 0);
  }

  /** Ends all threads at once. */
  async close(): Promise<void> {
    this.#isRunning = false;
    this.#heartbeats.close();
    this.#tickets.close();
    await Promise.all(this.#seats.map((seat) => seat.terminate()));
  }

  #seat(thread: number): DataThread {
    const { threads, clock, endpoints, metrics, counters, limits, cache, connections, spawn } = this.#parts;
    return new DataThread({
      thread,
      clock,
      spawn: () =>
        spawn({
          thread,
          threads,
          endpoints: endpoints.buffers,
          metrics: metrics.buffers,
          counters: counters.buffers,
          limits: limits.buffers,
          cache: cache.buffers,
          sessions: this.#parts.sessions.buffers,
          store: this.#parts.store,
          answerStore: this.#parts.answerStore,
          connections: connections.shared,
          heartbeats: this.#heartbeats.buffer,
          ticketSecrets: this.#tickets.secrets,
        }),
      onMessage: (message) => this.#receive(thread, message),
      onGone: (cause) => this.#gone(thread, cause),
    });
  }

  /** Starts a thread and brings it to the generation that serves. */
  async #begin(seat: DataThread): Promise<void> {
    seat.start();
    for (const message of this.#parts.greeting()) seat.tell(message);
    await this.#catchUp(seat);
  }

  async #catchUp(seat: DataThread): Promise<void> {
    // A reload may commit while the thread compiles.
    while (seat.serving !== this.#plan!.id) {
      const plan = this.#plan!;
      this.#holders.hold(plan.id, seat.thread);
      await seat.prepare(plan);
      seat.commit(plan.id);
    }
  }

  async #restart(seat: DataThread): Promise<void> {
    if (!this.#isRunning) return;
    try {
      await this.#begin(seat);
      await seat.listen(this.#listeners, this.#reusePort);
      while (seat.serving !== this.#plan!.id) await this.#catchUp(seat);
      seat.up();
    } catch (error) {
      this.#parts.log.error(
        { event: 'thread_start_failed', thread: seat.thread, err: error },
        'a data thread did not start',
      );
      void seat.terminate();
      return;
    }
    this.#parts.log.info({ event: 'thread_restarted', thread: seat.thread }, `data thread ${seat.thread} serves again`);
  }

  #receive(thread: number, message: FromThread): void {
    if (message.kind === 'suspect') this.#parts.onSuspect(message.row, message.reason);
    else if (message.kind === 'breaker') this.#parts.onBreaker(message.row, message.move);
    else if (message.kind === 'decisions') this.#parts.onDecisions(thread, message.batch);
    else if (message.kind === 'refresh') this.#parts.onRefresh(message.url);
    else if (message.kind === 'released') this.#holders.release(message.id, thread);
  }

  #gone(thread: number, cause: Error): void {
    this.#parts.endpoints.forgetThread(thread);
    this.#parts.metrics.forgetThread(thread);
    this.#parts.limits.forgetThread(thread);
    this.#parts.cache.forgetThread(thread);
    this.#parts.connections.resetThread(thread);
    this.#holders.releaseThread(thread);
    if (!this.#isRunning) return;
    const seat = this.#seats[thread]!;
    const delayMs = this.#backoffMs(thread);
    this.#parts.log.error(
      { event: 'thread_died', thread, err: cause, restartInMs: delayMs },
      `data thread ${thread} died`,
    );
    this.#parts.clock.after(delayMs, () => void this.#restart(seat));
  }

  /** Doubles while it keeps dying young. */
  #backoffMs(thread: number): number {
    const livedMs = this.#parts.clock.now() - this.#seats[thread]!.startedAt;
    const isSteady = livedMs >= STEADY_AFTER_MS;
    this.#deaths[thread] = isSteady ? 1 : this.#deaths[thread]! + 1;
    return Math.min(FIRST_BACKOFF_MS * 2 ** (this.#deaths[thread]! - 1), LONGEST_BACKOFF_MS);
  }

  #endWedged(thread: number, stillMs: number): void {
    const fields = { event: 'thread_wedged', thread, stillMs };
    this.#parts.log.error(fields, `data thread ${thread} has not turned its event loop: ending it`);
    void this.#seats[thread]!.terminate();
  }
}
