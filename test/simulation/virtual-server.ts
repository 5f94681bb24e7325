/**
 * An instance of a service: so many workers, a line of requests before them, and what may go wrong with it. A worker that
 * has begun goes on to its end, also when nobody waits for the answer any more, as most servers do.
 */
import type { Clock, Random, Timer } from '../../src/clock.ts';

export interface ServerSpec {
  /** Requests that it works on at the same time. */
  readonly workers: number;
  /** Mean service time. */
  readonly meanMs: number;
  readonly weight?: number;
  readonly priority?: number;
  /** Requests that may wait for a worker; further ones get 503 at once. */
  readonly backlog?: number;
}

/** One request, as its server sees it. */
export interface Job {
  /** How much work it is; 1 on average. */
  readonly demand: number;
  /** Nobody waits for it. */
  readonly isAbandoned: boolean;
  onAnswer(status: number): void;
  /** The server has died with it. */
  onBroken(): void;
}

interface Failure {
  readonly status: number;
  /** Of its requests. */
  readonly share: number;
  readonly afterMs: number;
}

interface Running {
  readonly job: Job;
  readonly endsAt: number;
  timer: Timer;
}

export class VirtualServer {
  readonly url: string;
  /** `refusing`: no process listens. `silent`: it takes requests and never answers. */
  state: 'up' | 'refusing' | 'silent' = 'up';
  /** All its work takes so many times longer. */
  slowness = 1;
  failure: Failure | undefined;
  /** Requests that have reached it. */
  received = 0;
  readonly #spec: ServerSpec;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #running = new Set<Running>();
  readonly #waiting: Job[] = [];
  #waitingDemand = 0;
  /** Sent, and not here yet. */
  #underway = 0;
  #underwayDemand = 0;
  /** Sum of the ends of what runs. */
  #endsAt = 0;
  readonly #load: Load;

  constructor(url: string, spec: ServerSpec, clock: Clock, random: Random) {
    this.url = url;
    this.#spec = spec;
    this.#clock = clock;
    this.#random = random;
    this.#load = new Load(clock, spec.workers);
  }

  /** What it tells of its load (ORCA). */
  get report(): string {
    return this.#load.report(this.#running.size);
  }

  /** Until a request sent now would be answered, as only somebody who knows everything can tell. */
  get expectedMs(): number {
    if (this.state !== 'up') return Infinity;
    if (this.failure !== undefined) return this.failure.share * 1e6;
    const { workers } = this.#spec;
    const serviceMs = this.#spec.meanMs * this.slowness;
    const present = this.#running.size + this.#waiting.length + this.#underway;
    if (present < workers) return serviceMs;
    const runningMs = Math.max(0, this.#endsAt - this.#running.size * this.#clock.now());
    const aheadMs = runningMs + (this.#waitingDemand + this.#underwayDemand) * serviceMs;
    return aheadMs / workers + serviceMs;
  }

  /** Somebody has sent a request. */
  announce(demand: number): void {
    this.#underway++;
    this.#underwayDemand += demand;
  }

  /** It is here, or was given up on its way. */
  arrived(demand: number): void {
    this.#underway--;
    this.#underwayDemand -= demand;
  }

  receive(job: Job): void {
    this.received++;
    if (this.state === 'silent') return;
    const { failure } = this;
    if (failure !== undefined && this.#random() < failure.share) {
      this.#clock.after(failure.afterMs, () => {
        this.#load.answered(true);
        job.onAnswer(failure.status);
      });
    } else if (this.#running.size < this.#spec.workers) {
      this.#serve(job);
    } else if (this.#waiting.length < (this.#spec.backlog ?? Infinity)) {
      this.#waiting.push(job);
      this.#waitingDemand += job.demand;
    } else {
      this.#load.answered(true);
      job.onAnswer(503);
    }
  }

  /** The process ends: what it has is lost. */
  crash(): void {
    this.state = 'refusing';
    const lost = [...[...this.#running].map(({ job }) => job), ...this.#waiting];
    for (const { timer } of this.#running) timer.cancel();
    this.#load.changes(this.#running.size);
    this.#running.clear();
    this.#waiting.length = 0;
    this.#waitingDemand = 0;
    this.#endsAt = 0;
    for (const job of lost) job.onBroken();
  }

  #serve(job: Job): void {
    const serviceMs = job.demand * this.#spec.meanMs * this.slowness;
    const endsAt = this.#clock.now() + serviceMs;
    this.#load.changes(this.#running.size);
    const running: Running = { job, endsAt, timer: this.#clock.after(serviceMs, () => this.#finish(running)) };
    this.#running.add(running);
    this.#endsAt += endsAt;
  }

  #finish(running: Running): void {
    this.#load.changes(this.#running.size);
    this.#load.answered(false);
    this.#running.delete(running);
    this.#endsAt -= running.endsAt;
    running.job.onAnswer(200);
    this.#serveNext();
  }

  #serveNext(): void {
    for (let job = this.#waiting.shift(); job !== undefined; job = this.#waiting.shift()) {
      this.#waitingDemand -= job.demand;
      // Whoever waited for it has closed the connection; that is seen before any work is done.
      if (job.isAbandoned) continue;
      this.#serve(job);
      return;
    }
    this.#waitingDemand = 0;
  }
}

/** How busy a server was, over its latest whole second. */
class Load {
  readonly #clock: Clock;
  readonly #workers: number;
  #since: number;
  #changedAt: number;
  #busyMs = 0;
  #answers = 0;
  #failures = 0;
  #told = '';

  constructor(clock: Clock, workers: number) {
    this.#clock = clock;
    this.#workers = workers;
    this.#since = this.#changedAt = clock.now();
  }

  /** @param running until now. */
  changes(running: number): void {
    const now = this.#clock.now();
    this.#busyMs += running * (now - this.#changedAt);
    this.#changedAt = now;
  }

  answered(failed: boolean): void {
    this.#answers++;
    if (failed) this.#failures++;
  }

  report(running: number): string {
    const tookMs = this.#clock.now() - this.#since;
    if (tookMs < 1_000 && this.#told !== '') return this.#told;
    this.changes(running);
    const perSecond = (count: number) => (tookMs === 0 ? 0 : (count * 1_000) / tookMs).toFixed(3);
    const utilisation = (tookMs === 0 ? 0 : this.#busyMs / tookMs / this.#workers).toFixed(3);
    this.#told = `TEXT application_utilization=${utilisation},rps_fractional=${perSecond(this.#answers)},eps=${perSecond(this.#failures)}`;
    this.#since = this.#changedAt;
    this.#busyMs = this.#answers = this.#failures = 0;
    return this.#told;
  }
}
