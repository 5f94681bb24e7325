/**
 * The conditions of a match beside host, path and method. All must hold. A value is compared as a whole: exactly, or by
 * a regex that must match all of it, as in Envoy. Of a repeated field all values count, joined by `, `; of a repeated
 * parameter or cookie the first.
 */
import type { RE2JS } from 're2js';
import type { ConditionConfig, MatchConfig } from '../../config/schema.ts';
import { isGrpc } from '../../grpc/content-type.ts';
import { compileNetworks, type Networks } from './networks.ts';
import { compileRegex } from './regex.ts';
import type { MatchRequest } from './request-view.ts';

type Source = 'header' | 'query' | 'cookie';

export type Condition =
  | { readonly source: 'client'; readonly networks: Networks }
  /** The request is a call of gRPC. */
  | { readonly source: 'grpc' }
  | { readonly source: Source; readonly name: string; readonly test: ValueTest };

type ValueTest =
  | { readonly kind: 'exact'; readonly value: string }
  | { readonly kind: 'regex'; readonly regex: RE2JS }
  | { readonly kind: 'present'; readonly wanted: boolean };

/** In the order in which they are tried, which is also that of their rank. @throws Error with a sentence. */
export function compileConditions(config: MatchConfig): readonly Condition[] {
  return [
    ...(config.grpc === undefined ? [] : [IS_GRPC]),
    ...compileEach('header', config.headers),
    ...compileEach('query', config.query),
    ...compileEach('cookie', config.cookies),
    ...(config.client === undefined ? [] : [compileClient(config.client.cidr)]),
  ];
}

const IS_GRPC: Condition = { source: 'grpc' };

function compileEach(source: Source, conditions: Readonly<Record<string, ConditionConfig>> = {}): Condition[] {
  return Object.entries(conditions).map(([written, config]) => ({
    source,
    name: source === 'header' ? written.toLowerCase() : written,
    test: compileTest(config),
  }));
}

function compileTest(config: ConditionConfig): ValueTest {
  if (typeof config === 'string') return { kind: 'exact', value: config };
  if ('regex' in config) return { kind: 'regex', regex: compileRegex(config.regex) };
  return { kind: 'present', wanted: config.present };
}

export function compileClient(cidr: string | string[]): Condition {
  return { source: 'client', networks: compileNetworks(typeof cidr === 'string' ? [cidr] : cidr) };
}

export function holds(condition: Condition, request: MatchRequest): boolean {
  if (condition.source === 'client') return condition.networks.contains(request.clientAddress);
  if (condition.source === 'grpc') return isGrpc(request.header('content-type'));
  const { test } = condition;
  const value = read(condition.source, condition.name, request);
  switch (test.kind) {
    case 'exact':
      return value === test.value;
    case 'regex':
      return value !== undefined && test.regex.matches(value);
    case 'present':
      return (value !== undefined) === test.wanted;
  }
}

function read(source: Source, name: string, request: MatchRequest): string | undefined {
  switch (source) {
    case 'header':
      return request.header(name);
    case 'query':
      return request.query(name);
    case 'cookie':
      return request.cookie(name);
  }
}

/** Why a condition does not hold, for `aya explain`. Values of the request are not shown: they may be secrets. */
export function describeFailure(condition: Condition, request: MatchRequest): string {
  if (condition.source === 'client') {
    return `client ${request.clientAddress} is not in ${condition.networks.texts.join(', ')}`;
  }
  if (condition.source === 'grpc') return 'content-type is not application/grpc';
  const { source, name, test } = condition;
  if (test.kind === 'present') return `${source} ${name} is ${test.wanted ? 'missing' : 'present'}`;
  if (read(source, name, request) === undefined) return `${source} ${name} is missing`;
  return test.kind === 'exact'
    ? `${source} ${name} is not '${test.value}'`
    : `${source} ${name} does not match ${test.regex.pattern()}`;
}
