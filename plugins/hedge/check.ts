/** Hedges that could never be made. */
import type { RouteConfig } from '../../src/config/schema.ts';
import type { ConfigFault } from '../../src/extension.ts';
import { isIdempotent } from '../../src/idempotent.ts';
import type { HedgeConfig } from './schema.ts';

export function faultsOf({ after }: HedgeConfig, { match, timeout, ...route }: RouteConfig): ConfigFault[] {
  const faults: ConfigFault[] = [];
  const methods = match.map((one) => one.methods ?? []);
  const isNever = methods.every((some) => some.length > 0 && some.every((method) => !isIdempotent(method)));
  if (match.length > 0 && isNever) {
    const message = 'none of the route’s methods is idempotent, and others are never sent twice: remove it';
    faults.push({ path: [], message });
  }
  const bounds = [timeout.head, timeout.total ?? Infinity, timeout.perTry ?? Infinity];
  const least = Math.min(...bounds);
  if (typeof after === 'number' && after >= least) {
    const name = ['head', 'total', 'perTry'][bounds.indexOf(least)]!;
    faults.push({
      path: ['after'],
      message: `is no shorter than timeout.${name}: nothing is left to wait for by then`,
    });
  }
  const { retry } = route as { retry?: false | { readonly budget: number } };
  if (retry !== undefined && retry !== false && retry.budget === 0) {
    const message = 'retry.budget is 0%, which is for both: no hedge will be made; give it a share';
    faults.push({ path: [], message, severity: 'warning' });
  }
  return faults;
}
