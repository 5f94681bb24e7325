/** What expressions can say, what is found wrong with them when they are loaded, and what they may cost. */
import { describe, expect, it } from 'vitest';
import type { ConsumerConfig } from '../config/schema.ts';
import type { Exchange } from '../data/exchange.ts';
import { compileExpression, ExpressionFault, type Expression } from './expression.ts';
import { PrincipalFacts, RequestFacts, RouteFacts, type Facts } from './facts.ts';

const exchange = {
  method: 'GET',
  scheme: 'https',
  host: 'api.example.com',
  path: '/orders/7',
  search: 'q=a&q=b&empty',
  clientAddress: '10.0.0.7',
  head: { visible: ['X-Plan', 'gold', 'x-plan', 'blue', 'Accept', 'text/html'] },
  req: { rawHeaders: ['X-Aya-Consumer', 'root', 'X-Plan', 'gold', 'x-plan', 'blue', 'Accept', 'text/html'] },
} as unknown as Exchange;

const facts: Facts = {
  request: new RequestFacts(exchange),
  principal: new PrincipalFacts({
    method: 'jwt',
    subject: 'ann',
    consumer: { name: 'mobile', metadata: { plan: 'gold' } } as unknown as ConsumerConfig,
    groups: ['partners', 'eu'],
    scopes: ['orders:read'],
    claims: { tenant: 'acme', age: 20, roles: ['admin'], nested: { deep: true } },
    ambient: false,
  }),
  route: new RouteFacts('orders'),
  now: new Date('2026-11-21T08:30:00Z'),
};

const anonymous: Facts = { ...facts, principal: new PrincipalFacts(undefined) };

function faultOf(source: string, result: 'bool' | 'string' = 'bool'): ExpressionFault {
  try {
    compileExpression(source, result);
  } catch (error) {
    if (error instanceof ExpressionFault) return error;
    throw error;
  }
  throw new Error(`'${source}' compiles`);
}

describe('an expression', () => {
  it.each([
    'request.method == "GET" && request.path.startsWith("/orders/")',
    '"partners" in principal.groups && principal.consumer == "mobile"',
    'principal.claims.tenant == "acme" && principal.claims.age >= 18',
    'principal.claims.roles.exists(role, role == "admin")',
    'principal.claims.nested.deep == true',
    'has(principal.claims.tenant) && !has(principal.claims.missing)',
    'request.headers["x-plan"] == "gold, blue"',
    'request.query["q"] == "a" && request.query["empty"] == "" && !("no" in request.query)',
    'principal.metadata.plan == "gold"',
    'route.name == "orders" && request.client == "10.0.0.7" && request.scheme == "https"',
    'request.path.matches("^/orders/[0-9]+$")',
    '"matches(" != r"matches\\(" && "it matches".contains("matches")',
    '!("x-aya-consumer" in request.headers)',
    'now.getHours("Europe/Berlin") == 9',
  ])('is true of this request: %s', (source) => {
    expect(compileExpression(source, 'bool')(facts)).toBe(true);
  });

  it('knows nobody where nobody is known', () => {
    const nobody = compileExpression('principal.subject == "" && principal.groups.size() == 0', 'bool');
    expect(nobody(anonymous)).toBe(true);
  });

  it('may yield a text', () => {
    expect(compileExpression('principal.consumer + "/" + request.method', 'string')(facts)).toBe('mobile/GET');
  });

  it('fails, and does not guess, when a claim is not there', () => {
    expect(() => compileExpression('principal.claims.nope == "x"', 'bool')(facts)).toThrow(/No such key/);
  });
});

describe('a wrong expression is found when it is loaded', () => {
  it.each([
    ['request.method ==', /Unexpected token/, 17],
    ['request.methd == "GET"', /No such key: methd/, 8],
    ['user.name == "x"', /Unknown variable: user/, 0],
    ['request.method', /yields string, and must yield bool/, 0],
    ['request.path.matches(request.method)', /must be written out/, 21],
    ['request.path.matches("(a")', /not a regular expression/, 21],
    ['request.path.matches("(a)\\\\1")', /not a regular expression/, 21],
  ])('%s', (source, message, offset) => {
    const fault = faultOf(source);
    expect(fault.message).toMatch(message);
    expect(fault.offset).toBe(offset);
  });
});

describe('what an expression costs', () => {
  it('is bounded: no comprehension inside another', () => {
    expect(faultOf('principal.groups.all(a, principal.groups.exists(b, a == b))').message).toMatch(/inside another/);
    expect(faultOf('principal.groups.filter(a, principal.scopes.exists(b, a == b)).size() > 0').message).toMatch(
      /inside another/,
    );
  });

  it('is bounded: no names for texts that double with each', () => {
    expect(faultOf('cel.bind(a, request.path + request.path, a.size() > 0)').message).toMatch(/'bind'/);
  });

  it.each([
    'request.path.matches // why\n ("^(a+)+$")',
    "// don't\nrequest.path.matches('^(a+)+$') // don't",
    "R'\\' != request.host && request.path.matches('^(a+)+$') && 'x' != 'y'",
    'request.path\n.matches\t(r"^(a+)+$")',
  ])('is bounded: a pattern is found however it is written: %s', (source) => {
    let expression: Expression;
    try {
      expression = compileExpression(source, 'bool');
    } catch (error) {
      return expect(error).toBeInstanceOf(ExpressionFault);
    }
    const long = { ...exchange, path: `${'a'.repeat(2_000)}!` } as Exchange;
    expect(expression({ ...facts, request: new RequestFacts(long) })).toBe(false);
  });

  it('reads the query once, however often it is asked', () => {
    const many = Array.from({ length: 2_000 }, (_, at) => `p${at}`).join('&');
    const request = new RequestFacts({ ...exchange, search: many } as Exchange);
    expect(request.query).toBe(request.query);
    expect(request.headers).toBe(request.headers);
  });

  it('is bounded: no long and no deep expressions', () => {
    expect(() => compileExpression(`${'true && '.repeat(600)}true`, 'bool')).toThrow(ExpressionFault);
    expect(() => compileExpression(`${'('.repeat(200)}true${')'.repeat(200)}`, 'bool')).toThrow(ExpressionFault);
  });

  it('does not explode with a pattern that would explode a backtracking engine', () => {
    const slow: Expression = compileExpression('request.path.matches("^(a+)+$")', 'bool');
    const long = { ...exchange, path: `${'a'.repeat(30_000)}!` } as Exchange;
    expect(slow({ ...facts, request: new RequestFacts(long) })).toBe(false);
  });
});
