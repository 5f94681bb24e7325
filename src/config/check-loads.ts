/** What a schema cannot say about load reports and agents. */
import type { Document } from './document.ts';
import type { Problem } from './problem.ts';
import type { PoolConfig } from './schema.ts';

/** More often would cost more than it tells. */
const LEAST_UPDATE_MS = 100;

export function checkLoads(
  { name, balance, health, endpoints }: PoolConfig,
  document: Document,
  at: string,
): Problem[] {
  const problems: Problem[] = [];
  const error = (key: string, message: string, hint?: string) =>
    problems.push(document.error(document.valueAt(`${at}/${key}`), message, hint));
  if (typeof balance === 'object' && 'adaptive' in balance) {
    const { update, expiration } = balance.adaptive;
    if (update < LEAST_UPDATE_MS) error('balance/adaptive/update', `expected at least ${LEAST_UPDATE_MS}ms`);
    else if (expiration < update)
      error('balance/adaptive/expiration', `'expiration' is shorter than 'update': no report would last to be weighed`);
  }
  if (health.agent === undefined) return problems;
  const { port, interval, timeout } = health.agent;
  for (const [key, ms] of Object.entries({ interval, timeout }))
    if (ms === 0) error(`health/agent/${key}`, 'expected a duration longer than 0');
  const own = endpoints.find(({ url }) => URL.canParse(url) && portOf(new URL(url)) === port);
  if (own !== undefined) {
    const message = `pool '${name}': its agent is asked on the port where ${own.url} serves`;
    problems.push(
      document.warning(document.valueAt(`${at}/health/agent/port`), message, 'an agent has a port of its own'),
    );
  }
  return problems;
}

const portOf = ({ port, protocol }: URL) => Number(port) || (protocol === 'https:' ? 443 : 80);
