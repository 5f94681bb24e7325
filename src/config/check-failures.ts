/** What a schema cannot say about ejection and breakers: settings that contradict each other, or the pool they are for. */
import type { Document } from './document.ts';
import type { Problem } from './problem.ts';
import type { BreakerConfig, PassiveHealthConfig, PoolConfig, StatusesConfig } from './schema.ts';

export function checkFailures(pool: PoolConfig, document: Document, at: string): Problem[] {
  const { breaker, health } = pool;
  return [
    ...checkStatuses(health.statuses, document, `${at}/health/statuses`),
    ...(health.passive === false ? [] : checkPassive(health.passive, pool, document, `${at}/health/passive`)),
    ...(breaker === undefined ? [] : checkBreaker(breaker, document, `${at}/breaker`)),
  ];
}

/** Empty ranges: `599-500`. */
function checkStatuses(statuses: StatusesConfig, document: Document, at: string): Problem[] {
  return (['fail', 'ignore'] as const).flatMap((key) =>
    statuses[key].flatMap(([first, last], index) =>
      first <= last
        ? []
        : [
            document.error(
              document.valueAt(`${at}/${key}/${index}`),
              `${first}-${last} is an empty range`,
              `write ${last}-${first}?`,
            ),
          ],
    ),
  );
}

function checkPassive(passive: PassiveHealthConfig, pool: PoolConfig, document: Document, at: string): Problem[] {
  const { consecutiveFailures, consecutiveGatewayFailures, failurePercentage, successRate, slow } = passive;
  const problems = [
    ...durations(document, at, { window: passive.window, ejectFor: passive.ejectFor }),
    ...order(document, at, passive, 'ejectFor', 'maxEjectFor'),
    ...(failurePercentage === undefined
      ? []
      : share(document, `${at}/failurePercentage/threshold`, failurePercentage.threshold)),
  ];
  const error = (key: string, message: string, hint: string) =>
    problems.push(document.error(document.keyAt(`${at}/${key}`), message, hint));
  if (passive.maxEjected === 0 && passive.mode === 'eject') {
    error(
      'maxEjected',
      `'maxEjected: 0%' lets nobody be ejected`,
      `write 'passive: false', or 'mode: log' to be told only`,
    );
  }
  const isCompared = failurePercentage !== undefined || successRate !== undefined || slow !== undefined;
  if (consecutiveFailures === 0 && consecutiveGatewayFailures === undefined && !isCompared) {
    error('consecutiveFailures', 'nothing is left that would eject', `write 'passive: false'`);
  }
  if (consecutiveFailures > 0 && (consecutiveGatewayFailures ?? 0) >= consecutiveFailures) {
    error(
      'consecutiveGatewayFailures',
      `${consecutiveFailures} failures of any kind eject before ${consecutiveGatewayFailures} gateway failures can`,
      'make it less than consecutiveFailures, or consecutiveFailures 0',
    );
  }
  return [...problems, ...checkSize(passive, pool, document, at)];
}

/** Rules that a pool of this size never meets. */
function checkSize(
  { minHealthy, successRate, slow }: PassiveHealthConfig,
  { name, endpoints }: PoolConfig,
  document: Document,
  at: string,
): Problem[] {
  const count = endpoints.length;
  const has = `pool '${name}' has ${count === 1 ? 'one endpoint' : `${count} endpoints`}`;
  const problems: Problem[] = [];
  const warning = (key: string, message: string, hint?: string) =>
    problems.push(document.warning(document.keyAt(`${at}/${key}`), `${has}: ${message}`, hint));
  if (minHealthy !== undefined && minHealthy >= count) {
    warning('minHealthy', `with minHealthy ${minHealthy} none is ever ejected`);
  }
  const hint = 'use failurePercentage in small pools';
  if (successRate !== undefined && successRate.minHosts > count) {
    warning('successRate', `successRate compares no fewer than ${successRate.minHosts}`, hint);
  } else if (successRate !== undefined && successRate.factor >= Math.sqrt(count - 1)) {
    // The farthest that one of n values can be from their mean (Samuelson's inequality).
    const most = Math.sqrt(count - 1).toFixed(2);
    warning('successRate', `none can be ${successRate.factor} standard deviations below the mean, only ${most}`, hint);
  }
  if (slow !== undefined && count < 2) warning('slow', 'there is no other to be slower than');
  return problems;
}

function checkBreaker(breaker: BreakerConfig, document: Document, at: string): Problem[] {
  const { slow } = breaker;
  return [
    ...share(document, `${at}/failures`, breaker.failures),
    ...durations(document, at, { window: breaker.window, openFor: breaker.openFor }),
    ...order(document, at, breaker, 'openFor', 'maxOpenFor'),
    ...(slow === undefined ? [] : share(document, `${at}/slow/share`, slow.share)),
    ...(slow === undefined ? [] : durations(document, `${at}/slow`, { over: slow.over })),
  ];
}

function durations(document: Document, at: string, values: Readonly<Record<string, number>>): Problem[] {
  return Object.entries(values).flatMap(([key, ms]) =>
    ms > 0 ? [] : [document.error(document.valueAt(`${at}/${key}`), 'expected a duration longer than 0')],
  );
}

function share(document: Document, at: string, value: number): Problem[] {
  if (value > 0 && value <= 1) return [];
  const message = value === 0 ? 'answers that all did well reach 0%' : 'no share is greater than 100%';
  return [document.error(document.valueAt(at), message, 'expected more than 0% and at most 100%')];
}

/** A default that is too short for what was written gives way; what was written does not. */
function order<Shorter extends string, Longer extends string>(
  document: Document,
  at: string,
  values: Readonly<Record<Shorter | Longer, number>>,
  shorter: Shorter,
  longer: Longer,
): Problem[] {
  if (values[longer] >= values[shorter] || !document.has(`${at}/${longer}`)) return [];
  return [document.error(document.valueAt(`${at}/${longer}`), `'${longer}' is shorter than '${shorter}'`)];
}
