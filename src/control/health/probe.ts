/**
 * The watch over one endpoint by one check: probes it again and again and keeps its `unhealthy` bit. An endpoint counts
 * as available until probes say otherwise, unless it joins others that serve (`joining`), and the very first good probe is believed at once; after that it takes
 * several in a row to change the verdict, and while they come in the probes come faster.
 */
import type { Clock, Random, Timer } from '../../clock.ts';
import type { ActiveHealthConfig } from '../../config/schema.ts';
import { ENDPOINT } from '../../memory/endpoint-table.ts';
import type { EndpointRegistry, RegisteredEndpoint } from '../endpoint-registry.ts';
import type { CheckResult, HealthChecker } from './checker.ts';

/** Gateways and endpoints that started together do not stay in step. */
const JITTER = 0.1;

export interface ProbeParts {
  readonly endpoint: RegisteredEndpoint;
  readonly check: ActiveHealthConfig;
  readonly checker: HealthChecker;
  readonly registry: EndpointRegistry;
  readonly clock: Clock;
  readonly random: Random;
  /** The endpoint failed probes, or had nobody there for requests, and then passed enough of them in a row: it was away, and it is back. */
  readonly onRecovered: (endpoint: RegisteredEndpoint) => void;
}

export class Probe {
  readonly #parts: ProbeParts;
  #timer: Timer;
  #abort: AbortController | undefined;
  #stopped = false;
  /** No probe of this check has ended yet. */
  #fresh = true;
  /** Probes in a row that contradict the verdict. */
  #contradictions = 0;
  /** Good probes in a row after a bad one; undefined while there was no bad one. */
  #goodAfterBad: number | undefined;

  /** The first probe comes within `fastInterval`, spread so that a thousand endpoints are not asked at once. */
  constructor(parts: ProbeParts) {
    this.#parts = parts;
    const { check, clock, random } = parts;
    const withinMs = Math.min(check.fastInterval, check.interval);
    this.#timer = clock.after(random() * withinMs, () => void this.#run());
  }

  /** A request found nobody there, which counts as a probe that failed: it may be back before the next one is due. */
  foundNobody(): void {
    this.#goodAfterBad = 0;
  }

  stop(): void {
    this.#stopped = true;
    this.#timer.cancel();
    this.#abort?.abort();
  }

  async #run(): Promise<void> {
    const startedAt = this.#parts.clock.now();
    const result = await this.#ask();
    if (this.#stopped) return;
    this.#judge(result);
    this.#admit(result);
    this.#followRecovery(result.ok);
    const tookMs = this.#parts.clock.now() - startedAt;
    this.#timer = this.#parts.clock.after(Math.max(0, this.#nextDelayMs() - tookMs), () => void this.#run());
  }

  /** The answer, or the timeout when that comes first: a check that cannot be stopped does not stop the watch. */
  #ask(): Promise<CheckResult> {
    const { endpoint, check, checker, clock } = this.#parts;
    const abort = new AbortController();
    this.#abort = abort;
    return new Promise((resolve) => {
      const timeout = clock.after(check.timeout, () => {
        resolve({ ok: false, reason: `no answer within ${check.timeout} ms` });
        abort.abort();
      });
      void checker.check(endpoint, abort.signal).then((result) => {
        timeout.cancel();
        resolve(result);
      });
    });
  }

  #judge({ ok, reason }: CheckResult): void {
    const { endpoint, check, registry } = this.#parts;
    const isHealthy = !registry.has(endpoint, ENDPOINT.unhealthy);
    const isFirstGood = this.#fresh && ok;
    this.#fresh = false;
    if (ok === isHealthy) {
      this.#contradictions = 0;
      return;
    }
    this.#contradictions += 1;
    const needed = isFirstGood ? 1 : ok ? check.healthyAfter : check.unhealthyAfter;
    if (this.#contradictions < needed) return;
    registry.set(endpoint, ENDPOINT.unhealthy, !ok, `active: ${this.#contradictions}/${needed} ${reason}`);
    this.#contradictions = 0;
  }

  /** Of one that joins: not while it is still unhealthy, so that it is not missed before it was ever there. */
  #admit({ ok, reason }: CheckResult): void {
    const { endpoint, registry } = this.#parts;
    if (ok && !registry.has(endpoint, ENDPOINT.unhealthy))
      registry.set(endpoint, ENDPOINT.joining, false, `active: joins with ${reason}`);
  }

  #followRecovery(ok: boolean): void {
    if (!ok) {
      this.#goodAfterBad = 0;
      return;
    }
    if (this.#goodAfterBad === undefined) return;
    this.#goodAfterBad += 1;
    if (this.#goodAfterBad < this.#parts.check.healthyAfter) return;
    this.#goodAfterBad = undefined;
    this.#parts.onRecovered(this.#parts.endpoint);
  }

  #nextDelayMs(): number {
    const { check, random } = this.#parts;
    const isInDoubt = this.#contradictions > 0 || (this.#goodAfterBad ?? 0) > 0;
    const interval = isInDoubt ? Math.min(check.fastInterval, check.interval) : check.interval;
    return interval * (1 - JITTER + 2 * JITTER * random());
  }
}
