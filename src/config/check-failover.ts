/** What a schema cannot say about failover: levels, zones and slow starts that cannot be, fallbacks that lead nowhere. */
import type { Document } from './document.ts';
import type { Placed } from './interpret.ts';
import { didYouMean } from './nearest.ts';
import type { Problem } from './problem.ts';
import type { GatewayConfig, PoolConfig } from './schema.ts';

/** Of one pool. */
export function checkFailover(pool: PoolConfig, document: Document, at: string): Problem[] {
  return [...checkLevels(pool, document, at), ...checkSlowStart(pool, document, `${at}/slowStart`)];
}

function checkLevels({ name, endpoints, discover }: PoolConfig, document: Document, at: string): Problem[] {
  const problems = endpoints.flatMap(({ backup }, index) => {
    const place = `${at}/endpoints/${index}/priority`;
    if (!backup || !document.has(place)) return [];
    const message = `'priority' beside 'backup: true': a backup comes behind all priorities`;
    return [document.error(document.keyAt(place), message, 'leave one of them out')];
  });
  if (discover === undefined && endpoints.length > 0 && endpoints.every(({ backup }) => backup)) {
    const message = `all endpoints of pool '${name}' are backups: there is nobody to stand in for`;
    problems.push(document.warning(document.valueAt(`${at}/endpoints`), message));
  }
  const isLeveled = discover !== undefined || endpoints.some(({ priority }) => priority !== endpoints[0]!.priority);
  const isZoned = discover !== undefined || endpoints.some(({ zone }) => zone !== undefined);
  if (document.has(`${at}/overprovisioning`) && !isLeveled && !isZoned) {
    const message = `'overprovisioning' does nothing: all endpoints of pool '${name}' are of one priority and no zone`;
    problems.push(document.warning(document.keyAt(`${at}/overprovisioning`), message));
  }
  return problems;
}

function checkSlowStart(pool: PoolConfig, document: Document, at: string): Problem[] {
  const { slowStart, endpoints, discover, name } = pool;
  if (slowStart === undefined) return [];
  const problems: Problem[] = [];
  const own = (key: string) => document.valueAt(document.has(`${at}/${key}`) ? `${at}/${key}` : at);
  if (slowStart.for === 0)
    problems.push(document.error(own('for'), 'expected a duration longer than 0', 'leave slowStart out'));
  if (slowStart.min <= 0 || slowStart.min > 1) {
    const message = slowStart.min > 1 ? 'no share is greater than 100%' : 'with 0% it would never begin';
    problems.push(document.error(own('min'), message, 'expected more than 0% and at most 100%'));
  }
  if (discover === undefined && endpoints.length === 1) {
    const message = `pool '${name}' has one endpoint, which has to take everything at once: slowStart does nothing`;
    problems.push(document.warning(document.keyAt(at), message));
  }
  return problems;
}

/** @param known names of pools, also of those in files that have other faults. */
export function checkFallbacks(pools: readonly Placed<PoolConfig>[], known: ReadonlySet<string>): Problem[] {
  const byName = new Map(pools.map(({ config }) => [config.name, config]));
  return pools.flatMap(({ config, document, at }) => {
    const next = config.fallback?.pool;
    if (next === undefined) return [];
    const place = document.valueAt(`${at}/fallback/pool`);
    if (!known.has(next)) {
      const hint = didYouMean(next, known) ?? 'define it under pools:';
      return [document.error(place, `no pool is named '${next}'`, hint)];
    }
    const loop = loopFrom(config, byName);
    if (loop === undefined) return [];
    const message = `the fallbacks go round: ${loop.join(' → ')}`;
    return [document.error(place, message, 'let the last of them end in an answer, or in nothing')];
  });
}

/** The pools from this one back to it; undefined where they end. */
function loopFrom(start: PoolConfig, byName: ReadonlyMap<string, PoolConfig>): string[] | undefined {
  const passed = [start.name];
  for (let name = start.fallback?.pool; name !== undefined; name = byName.get(name)?.fallback?.pool) {
    if (name === start.name) return [...passed, name];
    // Another loop, which is told where it begins.
    if (passed.includes(name)) return undefined;
    passed.push(name);
  }
  return undefined;
}

/** Zones that one side has and the other does not. */
export function checkZones(pools: readonly Placed<PoolConfig>[], { zone }: GatewayConfig): Problem[] {
  return pools.flatMap(({ config, document, at }) => {
    if (zone !== undefined || config.zones === 'ignore') return [];
    const hint = 'say zone: … in gateway.yaml';
    const unknown = 'the gateway does not know where it is';
    if (document.has(`${at}/zones`))
      return [document.warning(document.keyAt(`${at}/zones`), `'zones: prefer' does nothing: ${unknown}`, hint)];
    const index = config.endpoints.findIndex((endpoint) => endpoint.zone !== undefined);
    if (index < 0) return [];
    const message = `the zones of pool '${config.name}' do nothing: ${unknown}`;
    return [document.warning(document.valueAt(`${at}/endpoints/${index}/zone`), message, `${hint}, or zones: ignore`)];
  });
}
