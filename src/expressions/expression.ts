/**
 * Expressions in CEL (github.com/google/cel-spec) over a request, its principal and its route. They are compiled and
 * type-checked when the configuration is loaded. What one evaluation costs is bounded then too: no comprehension inside
 * another, few nodes, and patterns that are literals and run in linear time.
 *
 * This module loads the CEL library: data threads import it only when a route has an expression.
 */
import { Environment, type ASTNode, type Context } from '@marcbachmann/cel-js';
import type { RE2JS } from 're2js';
import { re2 } from '../data/match/regex.ts';
import { PrincipalFacts, RequestFacts, RouteFacts, type Facts } from './facts.ts';

export type Expression = (facts: Facts) => unknown;

/** What is wrong with an expression, and where. */
export class ExpressionFault extends Error {
  /** Characters from the start of the expression. */
  readonly offset: number;

  constructor(message: string, offset: number) {
    super(message);
    this.offset = offset;
  }
}

const MOST_CHARACTERS = 4096;
const LIMITS = { maxAstNodes: 300, maxDepth: 24, maxListElements: 200, maxMapEntries: 100, maxCallArguments: 8 };

/** The library's own `matches` backtracks. In its place stands ours, under a name of the same length. */
const MATCHES = 'matcheS';

const patterns = new Map<string, RE2JS>();

const environment = new Environment({ limits: LIMITS })
  .registerType('Request', {
    ctor: RequestFacts,
    fields: {
      method: 'string',
      scheme: 'string',
      host: 'string',
      path: 'string',
      query: 'map<string, string>',
      headers: 'map<string, string>',
      client: 'string',
    },
  })
  .registerType('Principal', {
    ctor: PrincipalFacts,
    fields: {
      method: 'string',
      subject: 'string',
      consumer: 'string',
      groups: 'list<string>',
      scopes: 'list<string>',
      claims: 'map<string, dyn>',
      metadata: 'map<string, dyn>',
    },
  })
  .registerType('Route', { ctor: RouteFacts, fields: { name: 'string' } })
  .registerVariable('request', 'Request')
  .registerVariable('principal', 'Principal')
  .registerVariable('route', 'Route')
  .registerVariable('now', 'google.protobuf.Timestamp')
  .registerFunction(`string.${MATCHES}(string): bool`, (text: string, pattern: string) =>
    patterns.get(pattern)!.matcher(text).find(),
  );

/**
 * @param result what it must yield.
 * @throws ExpressionFault
 */
export function compileExpression(source: string, result: 'bool' | 'string'): Expression {
  if (source.length > MOST_CHARACTERS) throw new ExpressionFault(`is longer than ${MOST_CHARACTERS} characters`, 0);
  const parsed = parse(source);
  const checked = parsed.check();
  if (!checked.valid) throw faultOf(checked.error);
  // `dyn`: a claim, of which nothing is known before a token comes.
  if (checked.type !== result && checked.type !== 'dyn') {
    throw new ExpressionFault(`yields ${checked.type}, and must yield ${result}`, 0);
  }
  bound(parsed.ast, false);
  return (facts) => parsed(facts as unknown as Context) as unknown;
}

function parse(source: string) {
  try {
    return environment.parse(source.replaceAll(WORDS, (word) => (word === 'matches' ? MATCHES : word)));
  } catch (error) {
    throw faultOf(error);
  }
}

/** Comments and literals as a whole, so that a word inside one is left alone; and `matches` where it is called. */
const WORDS =
  /\/\/[^\n]*|r?(?:"""[^]*?"""|'''[^]*?''')|r"[^"]*"|r'[^']*'|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|\bmatches(?=\s*\()/gi;

function faultOf(error: unknown): ExpressionFault {
  const { summary, message, range } = error as Error & { summary?: string; range?: { start: number } };
  return new ExpressionFault((summary ?? message).replaceAll(MATCHES, 'matches'), range?.start ?? 0);
}

/** What would cost more than can be told here. */
const REFUSED: ReadonlyMap<unknown, string> = new Map([
  ['matches', 'like this: write .matches("…"), with nothing in between'],
  // Each name may stand for twice the text or list that the one before it stands for.
  ['bind', 'here'],
]);

const COMPREHENSIONS = new Set(['all', 'exists', 'exists_one', 'map', 'filter']);

function bound(node: ASTNode, inside: boolean): void {
  const isComprehension = node.op === 'rcall' && COMPREHENSIONS.has(node.args[0]);
  if (node.op === 'rcall' && REFUSED.has(node.args[0])) {
    throw new ExpressionFault(`'${String(node.args[0])}' cannot be used ${REFUSED.get(node.args[0])}`, node.start);
  }
  if (isComprehension && inside) {
    throw new ExpressionFault(`'${String(node.args[0])}' inside another comprehension could take long`, node.start);
  }
  if (node.op === 'rcall' && node.args[0] === MATCHES) keepPattern(node.args[2][0]!);
  for (const child of childrenOf(node.args)) bound(child, inside || isComprehension);
}

function keepPattern(node: ASTNode): void {
  if (node.op !== 'value' || typeof node.args !== 'string') {
    throw new ExpressionFault("the pattern of 'matches' must be written out", node.start);
  }
  try {
    if (!patterns.has(node.args)) patterns.set(node.args, re2().compile(node.args));
  } catch (error) {
    throw new ExpressionFault(`not a regular expression (RE2): ${(error as Error).message}`, node.start);
  }
}

function* childrenOf(args: unknown): Generator<ASTNode> {
  if (Array.isArray(args)) for (const part of args) yield* childrenOf(part);
  else if (typeof args === 'object' && args !== null && 'op' in args) yield args as ASTNode;
}
