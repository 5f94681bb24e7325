/** What contradicts itself, or the route's timeouts. */
import type { TimeoutConfig } from '../../src/config/schema.ts';
import type { ConfigFault } from '../../src/extension.ts';
import type { RetryConfig } from './schema.ts';

export function faultsOf({ attempts, backoff, budget, on }: RetryConfig, timeout: TimeoutConfig): ConfigFault[] {
  if (attempts === 0) return [];
  const faults: ConfigFault[] = [];
  const whole = Math.min(timeout.head, timeout.total ?? Infinity);
  const bound = whole < timeout.head ? 'timeout.total' : 'timeout.head';
  if (backoff.base > backoff.max) {
    faults.push({ path: ['backoff', 'base'], message: 'is longer than backoff.max: raise that or lower this' });
  } else if (backoff.base >= whole) {
    const message = `is no shorter than ${bound}: most retries would come too late; lower it, or raise ${bound}`;
    faults.push({ path: ['backoff', 'base'], message, severity: 'warning' });
  }
  if (budget === 0 && on.some((word) => word !== 'connect')) {
    const message = 'at 0% only tries of which nothing was sent are made again; say on: [connect], or give it a share';
    faults.push({ path: ['budget'], message, severity: 'warning' });
  }
  return faults;
}
