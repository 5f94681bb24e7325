/** What everything in one data thread shares. */
import type { Logger } from 'pino';
import type { CacheStore } from '../cache/store.ts';
import type { Random } from '../clock.ts';
import type { AnyPlugin } from '../extension.ts';
import type { Limits } from '../limits/limiter.ts';
import type { CounterTable } from '../memory/counter-table.ts';
import type { UpstreamContext } from '../upstream/attempt.ts';
import type { BalancerDefinition } from '../upstream/endpoint.ts';
import type { SessionHome } from '../upstream/sticky/session-home.ts';
import type { Challenges } from './challenges.ts';
import type { StoredConsumers } from './consumers.ts';
import type { DecisionRecorder } from './decisions/recorder.ts';
import type { Documents } from './documents.ts';
import type { TicketSecrets } from './ticket-keys.ts';
import type { OpenTunnels } from './tunnel.ts';

export interface DataContext extends UpstreamContext {
  readonly threads: number;
  readonly random: Random;
  /** Runs it when what is under way is done, before anything else comes in. */
  readonly soon: (run: () => void) => void;
  readonly log: Logger;
  /** Installed plugins, in the order of the path. */
  readonly plugins: readonly AnyPlugin[];
  readonly balancers: ReadonlyMap<string, BalancerDefinition>;
  readonly consumers: StoredConsumers;
  readonly documents: Documents;
  readonly challenges: Challenges;
  readonly limits: Limits;
  readonly cache: CacheStore;
  /** Of pools that are sticky. */
  readonly sessions: SessionHome;
  /** What plugins count. */
  readonly counters: CounterTable;
  /** What TLS session tickets are sealed with: the same in every thread. */
  readonly tickets: TicketSecrets;
  readonly decisions: DecisionRecorder;
  readonly tunnels: OpenTunnels;
  /** Answers ask clients to close their connections. */
  draining: boolean;
}
