/**
 * What src/store/limit-script.ts does in Redis, in TypeScript, for simulations; src/store/limit-script.test.ts holds the
 * two to each other.
 */
import { leaseCap, leaseMs } from '../../src/limits/leased-bound.ts';
import { LEASE_GRACE_MS, WINDOW_PARTS } from '../../src/store/limit-script.ts';
import type { LimitReply, LimitRequest } from '../../src/store/store.ts';

interface Counts {
  level: number;
  at: number;
  used: number;
  parts: Map<number, number>;
  readonly holders: Map<string, { units: number; until: number }>;
}

export class LimitTwin {
  readonly #counts = new Map<string, Counts>();

  /** @param now the clock of the store. */
  ask({ spec, key, cost, count, held, want, back }: LimitRequest, holder: string, now: number, endMs = 0): LimitReply {
    const { algorithm, max, windowMs, burst } = spec;
    const counts = this.#of(key, now);
    const part = windowMs / WINDOW_PARTS;

    for (const [name, { until }] of counts.holders) if (name !== holder && until <= now) counts.holders.delete(name);
    for (const n of counts.parts.keys()) if ((n + 1) * part + windowMs <= now) counts.parts.delete(n);
    const others = [...counts.holders].filter(([name]) => name !== holder);
    const othersHold = others.reduce((sum, [, { units }]) => sum + units, 0);
    const holders = others.length + 1;

    let free: number;
    if (algorithm === 'gcra') {
      counts.level = Math.max(0, counts.level - (Math.max(0, now - counts.at) * max) / windowMs);
      counts.level = Math.max(0, counts.level - back);
      counts.at = now;
      free = Math.floor(burst - counts.level + 1e-6);
    } else if (algorithm === 'sliding-window') {
      let left = back;
      for (const n of sorted(counts.parts)) {
        const less = Math.min(left, counts.parts.get(n)!);
        counts.parts.set(n, counts.parts.get(n)! - less);
        left -= less;
      }
      free = max - [...counts.parts.values()].reduce((sum, units) => sum + units, 0);
    } else {
      counts.used = Math.max(0, counts.used - back);
      free = max - counts.used;
    }
    free = Math.max(0, free);

    const granted = cost > 0 ? Math.min(count, Math.floor(free / cost)) : count;
    free -= granted * cost;
    const fair = Math.floor(leaseCap(spec) / holders) - held;
    const ahead = Math.min(want, leaseCap(spec) - othersHold - held, fair, Math.floor(free / holders));
    const leased = granted === count ? Math.max(0, ahead) : 0;
    free -= leased;
    const taken = granted * cost + leased;

    let resetMs = 0;
    let retryAfterMs = 0;
    if (algorithm === 'gcra') {
      counts.level += taken;
      resetMs = (counts.level * windowMs) / max;
      if (free < cost) retryAfterMs = ((cost - (burst - counts.level)) * windowMs) / max;
    } else if (algorithm === 'sliding-window') {
      let short = Math.max(0, cost - free);
      const n = Math.floor(now / part);
      if (taken > 0) counts.parts.set(n, (counts.parts.get(n) ?? 0) + taken);
      for (const each of sorted(counts.parts)) {
        if (counts.parts.get(each) === 0) continue;
        resetMs = (each + 1) * part + windowMs - now;
        if (short <= 0) continue;
        short -= counts.parts.get(each)!;
        retryAfterMs = resetMs;
      }
    } else {
      counts.used += taken;
      resetMs = endMs - now;
      if (free < cost) retryAfterMs = resetMs;
    }
    if (want > 0 || held + leased > 0) {
      counts.holders.set(holder, { units: held + leased, until: now + leaseMs(spec) + LEASE_GRACE_MS });
    } else {
      counts.holders.delete(holder);
    }
    return { granted, leased, remaining: free, resetMs, retryAfterMs };
  }

  #of(key: string, now: number): Counts {
    let counts = this.#counts.get(key);
    if (counts === undefined) {
      counts = { level: 0, at: now, used: 0, parts: new Map(), holders: new Map() };
      this.#counts.set(key, counts);
    }
    return counts;
  }
}

const sorted = (parts: ReadonlyMap<number, number>) => [...parts.keys()].sort((a, b) => a - b);
