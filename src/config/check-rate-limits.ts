/**
 * What the schema cannot say about limits: each by itself, and all together with the names in gateway.yaml. A named limit
 * is known to files that do not hold it, so this runs when all are read.
 */
import { compileExpression, ExpressionFault } from '../expressions/expression.ts';
import { isTimeZone } from '../limits/calendar.ts';
import { isNetwork, labelOf, listOf, nameIn } from '../limits/written.ts';
import { compileNetworks } from '../data/match/networks.ts';
import type { ConfigFault } from '../extension.ts';
import { child, pointer, type Document } from './document.ts';
import type { Placed } from './interpret.ts';
import { didYouMean } from './nearest.ts';
import type { Problem } from './problem.ts';
import type {
  ConsumerConfig,
  GatewayConfig,
  LimitConfig,
  LimitReference,
  RateLimitConfig,
  RouteConfig,
} from './schema.ts';

/** A `rateLimit:` and where it is written. */
interface PlacedRateLimit {
  readonly written: RateLimitConfig;
  readonly document: Document;
  readonly at: string;
}

export function checkRateLimits(
  routes: readonly Placed<RouteConfig>[],
  consumers: readonly Placed<ConsumerConfig>[],
  gateway: GatewayConfig,
  document: Document,
): Problem[] {
  const all = [
    ...[...routes, ...consumers].flatMap(({ config, document, at }) => placed(config, document, at)),
    ...Object.entries(gateway.groups).flatMap(([name, group]) => placed(group, document, child('/groups', name))),
  ];
  const named = Object.entries(gateway.rateLimits).map(([name, limit]) => ({
    written: limit,
    document,
    at: child('/rateLimits', name),
  }));
  const names = new Set(Object.keys(gateway.rateLimits));
  return [
    ...[...named, ...all].flatMap((limit) => faultsOf(limit, names)),
    ...(isForgetful(gateway) ? [...named, ...all].flatMap(forgottenQuotas) : []),
    ...unused(named, all),
  ];
}

/** Those of a consumer of the store. What they name may change with each reload: the threads ask when they need it. */
export function checkStoredLimits({ config, document, at }: Placed<ConsumerConfig>): Problem[] {
  return placed(config, document, at).flatMap((limit) => faultsOf(limit, undefined));
}

function placed(config: object, document: Document, at: string): PlacedRateLimit[] {
  const { rateLimit } = config as { rateLimit?: RateLimitConfig | false };
  if (rateLimit === undefined || rateLimit === false) return [];
  return [{ written: rateLimit, document, at: `${at}/rateLimit` }];
}

function faultsOf({ written, document, at }: PlacedRateLimit, names: ReadonlySet<string> | undefined): Problem[] {
  return checkRateLimit(written, names).map(({ path, message }) => {
    const place = at + pointer(path);
    return document.error(
      path.length === 0 ? document.keyAt(place) : document.valueAt(place),
      `${[at.startsWith('/rateLimits/') ? 'rateLimits' : 'rateLimit', ...path].join('.')}: ${message}`,
    );
  });
}

const isForgetful = (gateway: object) => ((gateway as { store?: unknown }).store ?? 'memory') === 'memory';

function forgottenQuotas({ written, document, at }: PlacedRateLimit): Problem[] {
  return listOf(written).flatMap((reference, index) => {
    if (nameIn(reference) !== undefined || (reference as LimitConfig).quota === undefined) return [];
    const place = `${at}${Array.isArray(written) ? `/${index}` : ''}/quota`;
    const message = 'a restart forgets how much of the quota is used: it is kept in memory';
    return [document.warning(document.keyAt(place), message, 'set store: to a Redis in gateway.yaml')];
  });
}

function unused(named: readonly PlacedRateLimit[], all: readonly PlacedRateLimit[]): Problem[] {
  const used = new Set(
    all.flatMap(({ written }) => listOf(written).map((limit) => child('/rateLimits', nameIn(limit) ?? ''))),
  );
  return named
    .filter(({ at }) => !used.has(at))
    .map(({ document, at }) => document.warning(document.keyAt(at), 'this limit is used by nobody'));
}

// --- one ---

const SHORTEST_MS = 100;
const LONGEST_MS = 31 * 24 * 3_600_000;

/** Of a route, a consumer or a group. @param names of the limits in gateway.yaml; undefined: they are not known. */
function checkRateLimit(written: RateLimitConfig, names: ReadonlySet<string> | undefined): ConfigFault[] {
  const seen = new Set<string>();
  return listOf(written).flatMap((reference, index) => {
    const path = Array.isArray(written) ? [index] : [];
    const faults = checkReference(reference, names).map((fault) => ({ ...fault, path: [...path, ...fault.path] }));
    const label = nameIn(reference) ?? labelOf(reference as LimitConfig, index, 'route:');
    if (seen.has(label)) faults.push({ path, message: `'${label}' is here twice: give one of them another name` });
    seen.add(label);
    return faults;
  });
}

function checkReference(reference: LimitReference, names: ReadonlySet<string> | undefined): ConfigFault[] {
  const name = nameIn(reference);
  if (name === undefined) return checkLimit(reference as LimitConfig);
  if (names === undefined || names.has(name)) return [];
  const hint = didYouMean(name, names) ?? 'define it under rateLimits: in gateway.yaml';
  return [{ path: [], message: `no limit is named '${name}': ${hint}` }];
}

/** One that is written out. */
function checkLimit(limit: LimitConfig): ConfigFault[] {
  return [...checkRate(limit), ...checkCost(limit), ...checkOthers(limit), ...checkKey(limit), ...checkAllow(limit)];
}

function* checkRate({ max, per, burst, algorithm, concurrency, quota }: LimitConfig): Generator<ConfigFault> {
  if (max === undefined && per === undefined && concurrency === undefined && quota === undefined) {
    yield { path: [], message: 'limits nothing: give it max and per, concurrency, or quota' };
  }
  if (max !== undefined && per === undefined) yield { path: ['max'], message: 'needs per: the window, such as 1m' };
  if (per !== undefined && max === undefined) {
    yield { path: ['per'], message: 'needs max: how many in each window' };
  }
  if (max === 0) yield { path: ['max'], message: 'would refuse every request: allow at least 1, or remove the route' };
  if (per !== undefined && per < SHORTEST_MS) {
    yield { path: ['per'], message: `is shorter than ${SHORTEST_MS}ms: give a longer window and a larger max` };
  }
  if (per !== undefined && per > LONGEST_MS) {
    yield { path: ['per'], message: 'is longer than 31 days: use quota: { max: …, per: month }' };
  }
  if (burst === undefined) return;
  if (algorithm !== 'gcra') yield { path: ['burst'], message: `is of algorithm gcra: ${algorithm} has none` };
  if (max === undefined) yield { path: ['burst'], message: 'needs max and per' };
  else if (burst > max)
    yield { path: ['burst'], message: `${burst} is over max ${max}: it is the part that may come at once` };
}

function* checkCost({ cost, max, burst, quota }: LimitConfig): Generator<ConfigFault> {
  const most = Math.min(burst ?? Infinity, max ?? Infinity, quota?.max ?? Infinity);
  const dearest = typeof cost === 'number' ? cost : cost.max;
  if (dearest <= most) return;
  const path = typeof cost === 'number' ? ['cost'] : ['cost', 'max'];
  yield { path, message: `${dearest} is more than the limit ever has (${most}): such a request could never pass` };
}

function* checkOthers({ concurrency, quota }: LimitConfig): Generator<ConfigFault> {
  if (concurrency === 0) {
    yield { path: ['concurrency'], message: 'would refuse every request: allow at least 1, or remove it' };
  }
  if (quota?.max === 0) {
    yield { path: ['quota', 'max'], message: 'would refuse every request: allow at least 1, or remove it' };
  }
  if (quota !== undefined && !isTimeZone(quota.timeZone)) {
    yield {
      path: ['quota', 'timeZone'],
      message: `no time zone is named '${quota.timeZone}': write Europe/Berlin or UTC`,
    };
  }
}

function* checkKey({ by }: LimitConfig): Generator<ConfigFault> {
  if (typeof by !== 'object') return;
  try {
    compileExpression(by.cel, 'string');
  } catch (error) {
    if (!(error instanceof ExpressionFault)) throw error;
    yield { path: ['by', 'cel'], message: `${error.message} (character ${error.offset + 1})` };
  }
}

function* checkAllow({ allow }: LimitConfig): Generator<ConfigFault> {
  for (const [index, entry] of allow.entries()) {
    if (!isNetwork(entry)) continue;
    try {
      compileNetworks([entry]);
    } catch (error) {
      yield { path: ['allow', index], message: (error as Error).message };
    }
  }
}
