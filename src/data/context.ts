/** What everything in one data thread shares. */
import type { Logger } from 'pino';
import type { Random } from '../clock.ts';
import type { AnyPlugin } from '../extension.ts';
import type { UpstreamContext } from '../upstream/attempt.ts';
import type { BalancerDefinition } from '../upstream/endpoint.ts';

export interface DataContext extends UpstreamContext {
  readonly threads: number;
  readonly random: Random;
  readonly log: Logger;
  /** Installed plugins, in the order of the path. */
  readonly plugins: readonly AnyPlugin[];
  readonly balancers: ReadonlyMap<string, BalancerDefinition>;
  /** Answers ask clients to close their connections. */
  draining: boolean;
}
