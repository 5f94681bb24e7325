/** `sticky:` of a pool → what keeps its clients where they are. */
import type { GatewayConfig, PoolConfig } from '../../config/schema.ts';
import type { Clock } from '../../clock.ts';
import type { Counter, CounterTable } from '../../memory/counter-table.ts';
import type { EndpointTable } from '../../memory/endpoint-table.ts';
import type { Endpoint } from '../pool.ts';
import { CookieSessions } from './cookie-sessions.ts';
import { OUTCOMES, STICKY_COUNTER, type Outcome, type Sessions } from './sessions.ts';
import type { SessionHome } from './session-home.ts';
import { Stickiness } from './stickiness.ts';
import { TableSessions } from './table-sessions.ts';

export interface StickyContext {
  readonly thread: number;
  readonly clock: Clock;
  readonly table: EndpointTable;
  readonly sessions: SessionHome;
  readonly counters: CounterTable;
}

export function compileSticky(
  pool: PoolConfig,
  endpoints: readonly Endpoint[],
  gateway: GatewayConfig,
  context: StickyContext,
): Stickiness | undefined {
  const { sticky: config } = pool;
  if (config === undefined) return undefined;
  const { table, clock } = context;
  const sessions = sessionsOf(pool, endpoints, gateway, context);
  return new Stickiness({ config, sessions, endpoints, table, clock, count: counting(context) });
}

function sessionsOf(
  { name, sticky }: PoolConfig,
  endpoints: readonly Endpoint[],
  gateway: GatewayConfig,
  { sessions, clock }: StickyContext,
): Sessions {
  const config = sticky!;
  if (!('cookie' in config)) {
    return new TableSessions({ pool: name, config, table: sessions.table, clock, store: sessions.store() });
  }
  const secrets = config.secrets ?? [gateway.secret ?? []].flat();
  if (secrets.length === 0) throw new Error(`pool '${name}': there is no secret to sign its cookies with`);
  return new CookieSessions(name, config, secrets, endpoints);
}

/** Cells are looked up once for each route. */
function counting({ counters, thread }: StickyContext): (row: number, outcome: Outcome) => void {
  const cells = new Map<number, Record<Outcome, Counter>>();
  return (row, outcome) => {
    let ofRoute = cells.get(row);
    if (ofRoute === undefined) {
      const cell = (value: Outcome) => [value, counters.counter(thread, row, STICKY_COUNTER.name, value)] as const;
      ofRoute = Object.fromEntries(OUTCOMES.map(cell)) as Record<Outcome, Counter>;
      cells.set(row, ofRoute);
    }
    ofRoute[outcome].increment();
  };
}
