/** What a schema cannot say about limits and queues: settings that contradict each other, or the pool they are for. */
import type { Document } from './document.ts';
import type { Placed } from './interpret.ts';
import type { Problem } from './problem.ts';
import type { MaxInFlightConfig, PoolConfig, RouteConfig } from './schema.ts';

export function checkSaturation(pool: PoolConfig, document: Document, at: string): Problem[] {
  const { maxInFlight: limit } = pool;
  if (limit === undefined) return [];
  const place = `${at}/maxInFlight`;
  return [
    ...checkBounds(limit, pool, document, place),
    ...checkQueue(limit, document, `${place}/queue`),
    ...checkEndpoints(limit, pool, document, at),
  ];
}

function checkBounds(
  { max, perEndpoint, adaptive }: MaxInFlightConfig,
  { name, endpoints }: PoolConfig,
  document: Document,
  at: string,
): Problem[] {
  const problems: Problem[] = [];
  const error = (key: string, message: string, hint: string) =>
    problems.push(document.error(document.keyAt(`${at}/${key}`), message, hint));
  if (max !== undefined && adaptive !== undefined) {
    error(
      'max',
      `'max' beside 'adaptive': one of them is the limit`,
      'leave max out: adaptive.max bounds what it finds',
    );
  }
  if (adaptive !== undefined && adaptive.min > adaptive.max) {
    error('adaptive', `min ${adaptive.min} is more than max ${adaptive.max}`, 'make min the smaller one');
  }
  if (adaptive !== undefined && adaptive.remeasure < 1000) {
    error('adaptive/remeasure', 'a pool that is measured all the time is never used whole', 'expected at least 1s');
  }
  const isSet = max !== undefined || adaptive !== undefined || perEndpoint !== undefined;
  if (!isSet && endpoints.every((endpoint) => endpoint.maxInFlight === undefined)) {
    const message = `maxInFlight of pool '${name}' limits nothing`;
    problems.push(document.error(document.keyAt(at), message, 'give it max, adaptive or perEndpoint'));
  }
  return problems;
}

function checkQueue({ queue }: MaxInFlightConfig, document: Document, at: string): Problem[] {
  if (queue === false) return [];
  const problems = (['timeout', 'target', 'interval'] as const).flatMap((key) =>
    queue[key] > 0
      ? []
      : [
          document.error(
            document.valueAt(`${at}/${key}`),
            'expected a duration longer than 0',
            'queue: false lets none wait',
          ),
        ],
  );
  if (queue.target >= queue.timeout && document.has(`${at}/target`)) {
    const message = `'target' is not shorter than 'timeout': nobody waits for so long`;
    problems.push(document.error(document.valueAt(`${at}/target`), message));
  }
  return problems;
}

/** Limits that are never reached. */
function checkEndpoints(
  { max, perEndpoint }: MaxInFlightConfig,
  { name, endpoints }: PoolConfig,
  document: Document,
  at: string,
): Problem[] {
  if (max === undefined) return [];
  const problems = endpoints.flatMap((endpoint, index) => {
    if (endpoint.maxInFlight === undefined || endpoint.maxInFlight <= max) return [];
    const message = `the pool as a whole takes ${max} (maxInFlight): this endpoint never has ${endpoint.maxInFlight}`;
    return [document.warning(document.valueAt(`${at}/endpoints/${index}/maxInFlight`), message)];
  });
  if (perEndpoint !== undefined && perEndpoint > max) {
    const message = `pool '${name}' takes ${max} as a whole: no endpoint ever has ${perEndpoint}`;
    problems.push(document.warning(document.valueAt(`${at}/maxInFlight/perEndpoint`), message));
  }
  return problems;
}

/** Of a route, against the pool that it leads to: waiting must leave time to be answered. */
export function checkPatience(routes: readonly Placed<RouteConfig>[], pools: readonly Placed<PoolConfig>[]): Problem[] {
  const byName = new Map(pools.map((pool) => [pool.config.name, pool]));
  const told = new Set<string>();
  return routes.flatMap(({ config: { name, pool, timeout } }) => {
    const target = pool === undefined ? undefined : byName.get(pool);
    const queue = target?.config.maxInFlight?.queue;
    if (target === undefined || queue === undefined || queue === false || told.has(target.config.name)) return [];
    const [key, ms] =
      timeout.total !== undefined && timeout.total < timeout.head ? ['total', timeout.total] : ['head', timeout.head];
    const { document, at } = target;
    const place = `${at}/maxInFlight/queue/timeout`;
    // The default gives way: nobody waits past the deadline of a request.
    if (ms === 0 || queue.timeout < ms || !document.has(place)) return [];
    told.add(target.config.name);
    const message = `a request may wait ${queue.timeout} ms here, and route '${name}' ends it after ${ms} ms (timeout.${key})`;
    return [document.error(document.valueAt(place), message, `make it shorter than ${ms}ms`)];
  });
}
