import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../clock.ts';
import type { MatchConfig } from '../../config/schema.ts';
import { checkMatch } from './check.ts';
import { compileMatcher, type Matcher } from './matcher.ts';
import { matchedPrefix } from './path-pattern.ts';
import { literalPrefix } from './regex.ts';
import { RequestView, type Scheme } from './request-view.ts';

type Rules = Readonly<Record<string, MatchConfig | readonly MatchConfig[]>>;

function compile(rules: Rules): Matcher<string> {
  return compileMatcher(Object.entries(rules).map(([rule, match]) => ({ rule, match: [match].flat() })));
}

interface Asked {
  readonly method?: string;
  readonly host?: string;
  readonly path?: string;
  readonly fields?: readonly string[];
  readonly client?: string;
  readonly scheme?: Scheme;
}

function view({
  method = 'GET',
  host = 'a.test',
  path = '/',
  fields = [],
  client = '192.0.2.1',
  scheme = 'http',
}: Asked): RequestView {
  const [routePath = '', search = ''] = path.split('?');
  return new RequestView(method, host, routePath, search, fields, client, scheme);
}

const winner = (matcher: Matcher<string>, asked: Asked): string | undefined => matcher.match(view(asked))?.rule;

describe('hosts', () => {
  const matcher = compile({
    any: {},
    wide: { host: '*.example.com' },
    narrow: { host: '*.api.example.com' },
    exact: { host: ['API.example.com', 'www.example.com.'] },
    literal: { host: '[2001:DB8::1]' },
  });
  it.each([
    ['api.example.com', 'exact'],
    ['www.example.com', 'exact'],
    ['shop.example.com', 'wide'],
    ['a.b.example.com', 'wide'],
    ['v1.api.example.com', 'narrow'],
    ['example.com', 'any'],
    ['badexample.com', 'any'],
    ['', 'any'],
    ['[2001:db8::1]', 'literal'],
  ])('%s is served by %s', (host, expected) => expect(winner(matcher, { host })).toBe(expected));

  it('a more specific host wins over a more specific path', () => {
    const rules = compile({ path: { path: '/a/b' }, host: { host: 'a.test', path: '/*' } });
    expect(winner(rules, { path: '/a/b' })).toBe('host');
  });

  it('what an exact host does not take falls through to its wildcard and then to any host', () => {
    const rules = compile({
      exact: { host: 'x.a.test', path: '/exact' },
      wildcard: { host: '*.a.test', path: '/wildcard' },
      any: { path: '/any' },
    });
    const served = ['/exact', '/wildcard', '/any', '/none'].map((path) => winner(rules, { host: 'x.a.test', path }));
    expect(served).toEqual(['exact', 'wildcard', 'any', undefined]);
  });

  it('150 hosts are as well found as one', () => {
    const rules = compile(
      Object.fromEntries(Array.from({ length: 150 }, (_, at) => [`r${at}`, { host: `Host${at}.test` }])),
    );
    expect(winner(rules, { host: 'host149.test' })).toBe('r149');
  });
});

describe('paths', () => {
  it.each([
    ['/x/*', '/x', true],
    ['/x/*', '/x/', true],
    ['/x/*', '/x/y/z', true],
    ['/x/*', '/xy', false],
    ['/x/*', '/', false],
    ['/x', '/x', true],
    ['/x', '/x/', false],
    ['/x', '/x/y', false],
    ['/x/', '/x/', true],
    ['/x/', '/x', false],
    ['/*', '/', true],
    ['/*', '/anything/at/all', true],
    ['/', '/', true],
    ['/', '/x', false],
    ['/café/*', '/caf%C3%A9/x', true],
    ['/job%3acancel', '/job:cancel', true],
  ])('%s takes %s: %s', (path, asked, expected) => {
    expect(winner(compile({ it: { path } }), { path: asked })).toBe(expected ? 'it' : undefined);
  });

  it.each([
    ['/orders/\\d+', '/orders/7', true],
    ['/orders/\\d+', '/orders/7/x', false],
    ['^/orders/[a-z]+$', '/orders/abc', true],
    ['/a|/b', '/b', true],
    ['/(a|b)/c', '/b/c', true],
    ['/ab?', '/a', true],
    ['(?i)/ADMIN', '/admin', true],
    ['.*\\.png', '/x/y.png', true],
    ['/a[](]|/b', '/b', true],
  ])('regex %s takes %s as a whole: %s', (regex, asked, expected) => {
    expect(winner(compile({ it: { path: { regex } } }), { path: asked })).toBe(expected ? 'it' : undefined);
  });

  it.each([
    ['/orders/\\d+', '/orders/'],
    ['^/a\\.b/x+', '/a.b/x'],
    ['/ab?', '/a'],
    ['/ab*c', '/a'],
    ['/a|/b', ''],
    ['/x/(a|b)', '/x/'],
    ['.*', ''],
    ['(?i)/a', ''],
    ['/x$', '/x'],
  ])('every match of %s starts with %j', (regex, prefix) => expect(literalPrefix(regex)).toBe(prefix));

  it('exact, then the longest prefix, then regex, then every path', () => {
    const rules: Rules = {
      every: { path: '/*' },
      regex: { path: { regex: '/.*' } },
      short: { path: '/a/*' },
      long: { path: '/a/b/*' },
      exact: { path: '/a/b/c' },
    };
    const matcher = compile(rules);
    expect(['/a/b/c', '/a/b/d', '/a/bc', '/z'].map((path) => winner(matcher, { path }))).toEqual([
      'exact',
      'long',
      'short',
      'regex',
    ]);
    expect(matcher.order().map((match) => match.rule)).toEqual(['exact', 'long', 'short', 'regex', 'every']);
  });

  it('a longer prefix whose conditions fail leaves the request to a shorter one', () => {
    const matcher = compile({ long: { path: '/a/b/*', methods: ['POST'] }, short: { path: '/a/*' } });
    expect(winner(matcher, { path: '/a/b/c' })).toBe('short');
  });

  it('regexes of one first segment and of none are tried in one order', () => {
    const rules = {
      one: { path: { regex: '/a/.*x' } },
      two: { path: { regex: '.*' } },
      three: { path: { regex: '/a/.*' } },
    };
    const matcher = compile(rules);
    expect(['/a/x', '/a/y', '/b'].map((path) => winner(matcher, { path }))).toEqual(['one', 'two', 'two']);
  });

  it.each([
    ['/x/*', '/x/y', '/x'],
    ['/x/*', '/x', '/x'],
    ['/*', '/x/y', ''],
    ['/x', '/x', '/x'],
    ['/x/y/*', '/x;v=1/y;w/z', '/x;v=1/y;w'],
    ['/a:b/*', '/a%3Ab/c', '/a%3Ab'],
  ])('%s stands in %s for %j', (path, sent, expected) => {
    const [match] = compile({ it: { path } }).order();
    expect(matchedPrefix(match!.path, sent)).toBe(expected);
  });
});

describe('conditions', () => {
  const one = (match: MatchConfig, asked: Asked): boolean => winner(compile({ it: match }), asked) === 'it';

  it('methods are taken as written: GET does not mean HEAD', () => {
    expect(['GET', 'HEAD', 'get'].map((method) => one({ methods: ['GET', 'PUT'] }, { method }))).toEqual([
      true,
      false,
      false,
    ]);
  });

  it('header names are compared without case, values with it', () => {
    const match: MatchConfig = { headers: { 'X-Version': 'Two' } };
    expect(one(match, { fields: ['x-VERSION', 'Two'] })).toBe(true);
    expect(one(match, { fields: ['x-version', 'two'] })).toBe(false);
    expect(one(match, {})).toBe(false);
  });

  it('a repeated header is one list', () => {
    const fields = ['X-A', '1', 'other', 'z', 'x-a', '2'];
    expect(one({ headers: { 'x-a': '1, 2' } }, { fields })).toBe(true);
    expect(one({ headers: { 'x-a': '1' } }, { fields })).toBe(false);
    expect(one({ headers: { 'x-a': { regex: '(.*, )?2(, .*)?' } } }, { fields })).toBe(true);
  });

  it('a regex must match the whole value', () => {
    expect(one({ headers: { a: { regex: 'b+' } } }, { fields: ['a', 'bbb'] })).toBe(true);
    expect(one({ headers: { a: { regex: 'b+' } } }, { fields: ['a', 'bbbc'] })).toBe(false);
  });

  it('a name can be required or forbidden', () => {
    for (const [wanted, fields, expected] of [
      [true, ['a', ''], true],
      [true, [], false],
      [false, [], true],
      [false, ['a', 'b'], false],
    ] as const) {
      expect(one({ headers: { a: { present: wanted } } }, { fields })).toBe(expected);
    }
  });

  it('names that objects inherit are names like others', () => {
    expect(one({ headers: { constructor: { present: true } } }, { fields: [] })).toBe(false);
    expect(one({ query: { toString: 'x' } }, { path: '/?toString=x' })).toBe(true);
  });

  it.each([
    ['/?a=1', true],
    ['/?b=2&a=1', true],
    ['/?a=1&a=2', true],
    ['/?a=2&a=1', false],
    ['/?%61=%31', true],
    ['/?a=+1', false],
    ['/?a', false],
    ['/?A=1', false],
    ['/?&&a=1&', true],
  ])('of a repeated parameter the first value counts: %s has a=1: %s', (path, expected) => {
    expect(one({ query: { a: '1' } }, { path })).toBe(expected);
  });

  it.each([
    ['/?a=b+c', 'b c'],
    ['/?a=b%2Bc', 'b+c'],
    ['/?a=caf%C3%A9', 'café'],
    ['/?a=%zz', '%zz'],
    ['/?a=b=c', 'b=c'],
    ['/?a', ''],
  ])('%s is decoded to %j', (path, value) => expect(one({ query: { a: value } }, { path })).toBe(true));

  it('cookies are found in all Cookie fields, the first of a name counts', () => {
    const fields = ['Cookie', 'x=0; beta=1', 'cookie', ' beta=2;c="q"'];
    expect(one({ cookies: { beta: '1' } }, { fields })).toBe(true);
    expect(one({ cookies: { c: '"q"' } }, { fields })).toBe(true);
    expect(one({ cookies: { d: { present: false } } }, { fields })).toBe(true);
  });

  it('the client’s network counts, also of IPv4 in IPv6', () => {
    const match: MatchConfig = { client: { cidr: ['10.0.0.0/8', 'fd00::/8'] } };
    const served = ['10.1.1.1', '::ffff:10.1.1.1', 'fd00::1', '11.0.0.1'].map((client) => one(match, { client }));
    expect(served).toEqual([true, true, true, false]);
  });

  it('parameters are read once each, colliding or not: with more work for each, so many would outlast the test', () => {
    for (const parameter of [(at: number) => `p${at}=1`, (at: number) => `${at * 65536}=1`, () => 'a=1']) {
      const path = `/?${Array.from({ length: 200_000 }, (_, at) => parameter(at)).join('&')}&last=1`;
      expect(one({ query: { last: '1' } }, { path })).toBe(true);
    }
  });

  it('no pattern of a user can make a request hang', () => {
    const matcher = compile({ it: { path: { regex: '/(a+)+' }, headers: { x: { regex: '(.*)*y' } } } });
    expect(winner(matcher, { path: `/${'a'.repeat(8_000)}!` })).toBeUndefined();
    expect(winner(matcher, { path: '/a', fields: ['x', 'z'.repeat(16_000)] })).toBeUndefined();
  });
});

describe('precedence, as in the Gateway API', () => {
  it('a scheme first, as routes there are bound to a listener: what is meant for http cannot be had around it', () => {
    const matcher = compile({
      exact: { host: 'a.test', path: '/orders/7', methods: ['GET'] },
      prefix: { path: '/orders/*' },
      toHttps: { scheme: 'http' },
      challenge: { scheme: 'http', path: '/.well-known/acme-challenge/*' },
      secure: { scheme: 'https', path: '/orders/*', headers: { 'x-beta': '1' } },
    });
    for (const path of ['/orders/7', '/orders/8', '/else']) expect(winner(matcher, { path })).toBe('toHttps');
    expect(winner(matcher, { path: '/.well-known/acme-challenge/x' })).toBe('challenge');
    expect(winner(matcher, { path: '/orders/7', scheme: 'https' })).toBe('exact');
    expect(winner(matcher, { path: '/orders/7', scheme: 'https', fields: ['x-beta', '1'] })).toBe('secure');
    expect(winner(matcher, { path: '/.well-known/acme-challenge/x', scheme: 'https' })).toBe(undefined);
    const refused = matcher.explain(view({ path: '/orders/7', scheme: 'https' })).find(({ part }) => part === 'scheme');
    expect(refused?.reason).toBe('scheme https is not http');
  });

  it('a method, then more headers, then more query parameters, then cookies and client, then the first written', () => {
    const matcher = compile({
      first: {},
      second: {},
      client: { client: { cidr: '0.0.0.0/0' } },
      cookies: { cookies: { a: '1', b: '1' } },
      query: { query: { a: '1' } },
      moreQuery: { query: { a: '1', b: '1' } },
      header: { headers: { a: '1' } },
      moreHeaders: { headers: { a: '1', b: '1' } },
      method: { methods: ['GET'] },
    });
    const order = matcher.order().map((match) => match.rule);
    expect(order).toEqual([
      'method',
      'moreHeaders',
      'header',
      'moreQuery',
      'query',
      'cookies',
      'client',
      'first',
      'second',
    ]);
    expect(winner(matcher, { method: 'PUT', path: '/?a=1&b=1', fields: ['a', '1', 'b', '2'] })).toBe('header');
    expect(winner(matcher, { method: 'PUT' })).toBe('client');
  });

  it('path before method, method before headers', () => {
    const matcher = compile({
      headers: { path: '/a/*', headers: { x: '1', y: '1' } },
      method: { path: '/a/*', methods: ['GET'] },
      path: { path: '/a/b' },
    });
    const fields = ['x', '1', 'y', '1'];
    expect(winner(matcher, { path: '/a/b', fields })).toBe('path');
    expect(winner(matcher, { path: '/a/c', fields })).toBe('method');
    expect(winner(matcher, { path: '/a/c', fields, method: 'PUT' })).toBe('headers');
  });

  // HTTPRouteMatching and HTTPRouteMatchingAcrossRoutes of the conformance suite.
  it('prefix / with and without a header, and /v2', () => {
    const matcher = compile({
      v1: [{ path: '/*' }, { headers: { version: 'one' } }],
      v2: [{ path: '/v2/*' }, { headers: { version: 'two' } }],
    });
    const cases: [string, string[], string][] = [
      ['/', [], 'v1'],
      ['/example', [], 'v1'],
      ['/', ['Version', 'one'], 'v1'],
      ['/v2', [], 'v2'],
      ['/v2/example', [], 'v2'],
      ['/v2/', [], 'v2'],
      ['/v2example', [], 'v1'],
      ['/foo/v2/example', [], 'v1'],
      ['/', ['Version', 'two'], 'v2'],
    ];
    for (const [path, fields, expected] of cases) expect(winner(matcher, { path, fields })).toBe(expected);
  });

  // HTTPRouteQueryParamMatching.
  it('query parameters together with paths and headers', () => {
    const matcher = compile({
      v1: [{ query: { animal: 'whale' } }, { path: '/path1/*', query: { animal: 'whale' } }],
      v2: [
        { query: { animal: 'dolphin' } },
        { path: '/path2/*', headers: { version: 'one' }, query: { animal: 'whale' } },
      ],
      v3: [{ query: { animal: 'dolphin', color: 'blue' } }, { query: { ANIMAL: 'Whale' } }],
    });
    const cases: [string, string[], string | undefined][] = [
      ['/?animal=whale', [], 'v1'],
      ['/?animal=dolphin', [], 'v2'],
      ['/?animal=dolphin&color=blue', [], 'v3'],
      ['/?ANIMAL=Whale', [], 'v3'],
      ['/?animal=whale&otherparam=irrelevant', [], 'v1'],
      ['/path1?animal=whale', [], 'v1'],
      ['/path2?animal=whale', ['version', 'one'], 'v2'],
      ['/?color=blue', [], undefined],
      ['/?animal=dog', [], undefined],
      ['/?animal=whaledolphin', [], undefined],
      ['/', [], undefined],
    ];
    for (const [path, fields, expected] of cases) expect(winner(matcher, { path, fields })).toBe(expected);
  });
});

describe('explanations', () => {
  it('name what won, what would have, and the first thing that did not fit', () => {
    const matcher = compile({
      all: { path: '/*' },
      orders: { path: '/orders/*' },
      write: { path: '/orders/*', methods: ['POST', 'PUT'] },
      beta: { path: '/orders/*', headers: { 'x-beta': 'yes' } },
      other: { host: 'b.test' },
    });
    const told = matcher.explain(view({ path: '/orders/7', fields: ['x-beta', 'secret'] }));
    expect(told.map(({ match, verdict, part, reason }) => [match.rule, verdict, part, reason])).toEqual([
      ['other', 'refused', 'host', 'host a.test is not b.test'],
      ['write', 'refused', 'method', 'method GET is not POST or PUT'],
      ['beta', 'refused', 'condition', "header x-beta is not 'yes'"],
      ['orders', 'chosen', undefined, 'the most specific that matches'],
      ['all', 'outranked', undefined, 'a more specific path comes first'],
    ]);
  });

  it('choose what matching chooses, for any rules and requests', () => {
    const pick = <Item>(random: () => number, items: readonly Item[]): Item =>
      items[Math.floor(random() * items.length)] as Item;
    for (let seed = 0; seed < 300; seed++) {
      const random = seededRandom(seed);
      const rules: Record<string, MatchConfig> = {};
      for (let at = 0; at < 12; at++) {
        const host = pick(random, [undefined, 'a.test', '*.test', '*.b.test', ['a.test', '*.b.test']]);
        const path = pick(random, [
          undefined,
          '/*',
          '/x',
          '/x/*',
          '/x/y/*',
          '/x/',
          { regex: '/x.*' },
          { regex: '/x/.*' },
          { regex: '.*y' },
        ]);
        const methods = pick(random, [undefined, undefined, ['GET'], ['PUT']]);
        const headers = pick(random, [undefined, undefined, { a: '1' }, { a: '1', b: '1' }]);
        const scheme = pick(random, [undefined, undefined, undefined, 'http', 'https'] as const);
        rules[`r${at}`] = {
          ...(host && { host }),
          ...(path && { path }),
          ...(methods && { methods }),
          ...(headers && { headers }),
          ...(scheme && { scheme }),
        };
      }
      const matcher = compile(rules);
      for (let asked = 0; asked < 20; asked++) {
        const request = view({
          host: pick(random, ['a.test', 'b.test', 'c.b.test', 'other']),
          path: pick(random, ['/', '/x', '/x/', '/x/y', '/x/y/z', '/xy', '/y']),
          method: pick(random, ['GET', 'PUT', 'POST']),
          fields: pick(random, [[], ['a', '1'], ['a', '1', 'b', '1']]),
          scheme: pick(random, ['http', 'https'] as const),
        });
        const chosen = matcher.explain(request).find((explanation) => explanation.verdict === 'chosen');
        expect(matcher.match(request)).toBe(chosen?.match);
      }
    }
  });
});

describe('a match that cannot be meant is named, each part by its path', () => {
  it.each<[MatchConfig, (string | number)[], string]>([
    [{ host: 'a b' }, ['host'], "host 'a b' is neither a host name nor *.name"],
    [{ host: ['ok.test', 'a.test:80'] }, ['host', 1], "host 'a.test:80': a host is matched without its port"],
    [{ host: 'a.*.test' }, ['host'], "host 'a.*.test' is neither a host name nor *.name"],
    [
      { path: '/x*' },
      ['path'],
      "path '/x*': * stands for the rest of a path as its last segment only; a literal one is %2A",
    ],
    [{ path: '/x?y' }, ['path'], "path '/x?y': a path has no query and no fragment"],
    [{ path: '/x;y' }, ['path'], "path '/x;y': parameters (;) are no part of what is matched"],
    [{ path: '/../x' }, ['path'], "path '/../x': the path climbs above its root."],
    [
      { client: { cidr: ['10.0.0.0/8', 'lan'] } },
      ['client', 'cidr', 1],
      "'lan' is not a network: write 10.0.0.0/8, 2001:db8::/32 or an address",
    ],
  ])('%j', (match, path, message) => {
    expect(checkMatch(match)).toEqual([{ path, message }]);
  });

  it('regexes that RE2 does not know', () => {
    const faults = checkMatch({
      path: { regex: '(?=a)' },
      headers: { a: { regex: '(b' } },
      query: { c: { regex: '(x)\\1' } },
    });
    expect(faults.map((fault) => fault.path)).toEqual([
      ['path', 'regex'],
      ['headers', 'a', 'regex'],
      ['query', 'c', 'regex'],
    ]);
    for (const fault of faults) expect(fault.message).toMatch(/^'.*' is not an RE2 regular expression: /);
  });

  it('a sound match has no fault', () => {
    expect(checkMatch({ host: '*.a.test', path: '/x/*', headers: { a: 'b' }, client: { cidr: '::1' } })).toEqual([]);
  });
});

describe('calls of gRPC', () => {
  const matcher = compile({
    page: { path: '/*' },
    all: { grpc: '*' },
    orders: { grpc: 'shop.Orders' },
    users: { grpc: 'shop.Users/*' },
    get: { grpc: 'shop.Orders/Get' },
    beta: { grpc: 'shop.Orders/Get', headers: { 'x-beta': '1' } },
  });
  const call = (path: string, fields: readonly string[] = [], method = 'POST'): Asked => ({
    method,
    path,
    fields: ['Content-Type', 'application/grpc+proto', ...fields],
  });

  it.each([
    ['/shop.Orders/Get', 'get'],
    ['/shop.Orders/List', 'orders'],
    ['/shop.Users/Get', 'users'],
    ['/shop.OrdersV2/Get', 'all'],
    ['/other.Service/Method', 'all'],
  ])('%s is taken by %s', (path, expected) => expect(winner(matcher, call(path))).toBe(expected));

  it('may ask for more', () => expect(winner(matcher, call('/shop.Orders/Get', ['x-beta', '1']))).toBe('beta'));

  it('are POSTs of their type', () => {
    expect(winner(matcher, call('/shop.Orders/Get', [], 'GET'))).toBe('page');
    for (const type of ['application/json', 'application/grpc-web+proto']) {
      expect(winner(matcher, { method: 'POST', path: '/shop.Orders/Get', fields: ['content-type', type] })).toBe(
        'page',
      );
    }
  });

  it('are explained', () => {
    const { order, explain } = compile({ orders: { grpc: 'shop.Orders' } });
    expect(order()[0]!.path.text).toBe('/shop.Orders/*');
    const [told] = explain(view({ method: 'POST', path: '/shop.Orders/Get' }));
    expect(told).toMatchObject({ part: 'condition', reason: 'content-type is not application/grpc' });
  });

  it.each([
    ['/shop.Orders/Get', 'a service has no slash before it: write shop.Orders/Get'],
    ['shop.Orders/', 'no method after the slash: write shop.Orders for all of them'],
    ['shop.Orders/Get/1', 'more than a service and a method: write package.Service/Method'],
    ['shop.*', '* stands for all methods of a service; list the services of a package'],
    ['shop..Orders', "'shop..Orders' is not the name of a service (package.Service)"],
    ['shop-api.Orders/Get', "'shop-api.Orders' is not the name of a service (package.Service)"],
    ['shop.Orders/Get*', "'Get*' is not the name of a method: one name, or * for all of the service"],
  ])('%s is refused', (grpc, message) => {
    expect(checkMatch({ grpc })).toEqual([{ path: ['grpc'], message: `grpc '${grpc}': ${message}` }]);
  });

  it('say path and methods already', () => {
    const faults = checkMatch({ grpc: 'shop.Orders', path: '/x', methods: ['GET'] });
    expect(faults.map(({ path }) => path)).toEqual([['path'], ['methods']]);
  });
});
