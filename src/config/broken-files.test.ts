import { describe, expect, it } from 'vitest';
import { scanLanguage } from './language.ts';
import { assemble } from './load.ts';
import { formatProblem } from './problem.ts';

/**
 * Each is a file with one thing wrong; ▸ stands where the error must point. Around it, what it takes to be whole
 * otherwise: a pool `a` for route files.
 */
interface Broken {
  readonly what: string;
  readonly file?: 'gateway.yaml';
  readonly text: string;
  readonly says: string;
}

const POOL = 'pools: { a: { endpoints: [http://10.0.0.1:80] } }\n';
const route = (rest: string) => `${POOL}routes:\n  - name: r\n    ${rest}\n`;
const toPoolA = (rest: string) => route(`pool: a\n    ${rest}`);
const pool = (rest: string) =>
  `pools:\n  a:\n    endpoints: [http://10.0.0.1:80]\n    ${rest}\nroutes: [{ name: r, pool: a }]\n`;

const BROKEN: readonly Broken[] = [
  // --- gRPC ---
  {
    what: 'a path as the name of a method',
    text: toPoolA('match: { grpc: ▸/shop.Orders/Get }'),
    says: "grpc '/shop.Orders/Get': a service has no slash before it: write shop.Orders/Get",
  },
  {
    what: 'a path beside a gRPC method',
    text: toPoolA('match: { grpc: shop.Orders, path: ▸/x }'),
    says: "'path' beside 'grpc', which says it already: leave it out",
  },
  {
    what: 'a truth as the name of a method',
    text: toPoolA('match: { grpc: ▸true }'),
    says: 'expected a gRPC service or method such as shop.Orders/Get or shop.Orders, got true',
  },
  {
    what: 'a truth where a text belongs',
    text: toPoolA('match: { host: ▸true }'),
    says: 'expected text or a list, got true — write "true"?',
  },
  {
    what: 'a health check by two protocols',
    text: pool('health: { active: { ▸tcp: true, grpc: shop.Orders } }'),
    says: "'tcp' beside 'grpc': an endpoint is asked one thing — leave one of them out",
  },
  // --- YAML ---
  {
    what: 'a list that is not closed',
    text: 'pools: {}\nroutes: [\n▸',
    says: 'not valid YAML: flow sequence in block collection must be sufficiently indented and end with a ]',
  },
  {
    what: 'a tab as indentation',
    text: 'pools:\n▸\ta: 1\n',
    says: 'not valid YAML: tabs are not allowed as indentation',
  },
  { what: 'a key written twice', text: 'pools: {}\n▸pools: {}\n', says: "key 'pools' is written twice: first at 1:1" },
  {
    what: 'a second document',
    text: `${POOL}▸---\nroutes: []\n`,
    says: 'a second document begins here — one file holds one: remove the ---',
  },
  {
    what: 'an alias',
    text: 'pools: {}\nroutes: [&r { name: r }, ▸*r]\n',
    says: "alias '*r': aliases are not supported — write it out, or use defaults in gateway.yaml",
  },
  {
    what: 'a merge key',
    text: 'pools: {}\nroutes: [{ ▸<<: { name: r } }]\n',
    says: "merge key '<<' is not supported — write it out, or use defaults in gateway.yaml",
  },
  { what: '__proto__', text: 'pools:\n  ▸__proto__: { polluted: yes }\n', says: "key '__proto__' is not allowed" },
  {
    what: 'constructor.prototype',
    text: 'pools:\n  ▸constructor: { prototype: { polluted: yes } }\n',
    says: "key 'constructor' is not allowed",
  },
  { what: 'a tag of its own', text: 'pools: ▸!js/function {}\n', says: 'not valid YAML: unresolved tag: !js/function' },
  { what: 'a list as a key', text: 'pools:\n  ? ▸[a]\n  : {}\n', says: 'a key must be a word' },
  { what: 'a list as the file', text: '▸- name: r\n', says: 'expected an object, got a list' },
  {
    what: 'a placeholder bare in braces',
    text: 'pools: { a: { endpoints: [http://$▸{HOST}] } }\n',
    says: 'not valid YAML: missing , or : between flow sequence items — inside { } and [ ] a placeholder must be in quotes: "${NAME}"',
  },
  // --- placeholders ---
  {
    what: 'a variable that is not set',
    text: 'pools:\n  a:\n    endpoints:\n      - http://▸${MISSING}:80\n',
    says: `environment variable 'MISSING' is not set — set it, or give a default: \${MISSING:-…}`,
  },
  {
    what: 'a placeholder that names nothing',
    text: 'pools:\n  a:\n    endpoints:\n      - "▸${}"\n',
    says: `'\${}' is not a placeholder — write \${NAME}, \${NAME:-default} or \${file:PATH}, or $\${ for a plain \${`,
  },
  {
    what: 'a placeholder left open',
    text: 'pools:\n  a:\n    endpoints:\n      - http://▸${HOST\n',
    says: `placeholder without its '}' — write $\${ for a plain \${`,
  },
  {
    what: 'a placeholder for a file',
    text: 'pools:\n  a:\n    endpoints:\n      - http://▸${file:/etc/passwd}\n',
    says: "file '/etc/passwd' is not in a directory for secrets — /run/secrets, /var/run/secrets, or below the configuration; AYA_SECRETS_PATH names others",
  },
  {
    what: 'a number from the environment where it is no number',
    file: 'gateway.yaml',
    text: 'listen:\n  - port: ▸${SECRET}\n',
    says: `expected a whole number, got '\${SECRET}'`,
  },
  // --- keys ---
  {
    what: 'a misspelt key',
    text: toPoolA('▸timout: { total: 1s }'),
    says: "unknown key 'timout' — did you mean 'timeout'?",
  },
  {
    what: 'a key in another style',
    text: pool('▸load_balance: random'),
    says: "unknown key 'load_balance' — known here: endpoints, discover, balance, overprovisioning, zones, slowStart, fallback, health, breaker, maxInFlight, sticky, http2, connections, limits, tls",
  },
  {
    what: 'an unknown key at the top',
    text: `▸upstreams: {}\n${POOL}`,
    says: "unknown key 'upstreams' — known here: pools, routes",
  },
  {
    what: 'a misspelt key deep down',
    text: pool('health: { active: { ▸intervall: 1s } }'),
    says: "unknown key 'intervall' — did you mean 'interval'?",
  },
  {
    what: 'an endpoint with an unknown key',
    text: 'pools:\n  a:\n    endpoints:\n      - { url: http://a:1, ▸wieght: 2 }\n',
    says: "unknown key 'wieght' — did you mean 'weight'?",
  },
  {
    what: 'a route without a name',
    text: `${POOL}routes:\n  - ▸pool: a\n`,
    says: "missing key 'name' — expected a name such as orders",
  },
  {
    what: 'a pool without endpoints',
    text: 'pools:\n  ▸a: {}\n',
    says: "pool 'a' has neither 'endpoints' nor 'discover' — list its endpoints, or say where they are found",
  },
  {
    what: 'a discovery without its port',
    text: 'pools:\n  a:\n    ▸discover: { dns: orders.internal }\n',
    says: "missing key 'port' — expected a whole number",
  },
  {
    what: 'two discoveries at once',
    text: 'pools:\n  a:\n    discover: { ▸srv: _http._tcp.orders.internal, file: orders.json }\n',
    says: "unknown key 'srv' — known here: file, max",
  },
  {
    what: 'a discovery of no name',
    text: 'pools:\n  a:\n    discover: { dns: ▸http://orders.internal, port: 80 }\n',
    says: "expected a host name such as orders.internal, got 'http://orders.internal'",
  },
  {
    what: 'a name server that is a name',
    text: 'pools:\n  a:\n    discover: { dns: orders.internal, port: 80, servers: [▸ns.internal] }\n',
    says: "discover.servers.0: 'ns.internal' is not the address of a name server",
  },
  {
    what: 'bounds that cross',
    text: 'pools:\n  a:\n    discover: { dns: orders.internal, port: 80, refresh: { min: ▸10m } }\n',
    says: 'discover.refresh.min: it is longer than max',
  },
  {
    what: 'a network to find endpoints in that is none',
    text: 'pools:\n  a:\n    discover: { dns: orders.internal, port: 80, allow: [▸lan] }\n',
    says: "discover.allow.0: 'lan' is not a network: write 10.0.0.0/8, 2001:db8::/32 or an address",
  },
  {
    what: 'a list of endpoints outside of the directory',
    text: 'pools:\n  a:\n    discover: { file: ▸../orders.json }\n',
    says: "discover.file: '../orders.json' leads out of the configuration's directory: write an absolute path if that is meant",
  },
  {
    what: 'a registry that is asked without rest',
    text: 'pools:\n  a:\n    discover: { http: http://registry.internal/orders, interval: ▸1ms }\n',
    says: 'discover.interval: expected at least 100ms',
  },
  {
    what: 'found endpoints that need prove nothing',
    text: 'pools:\n  a:\n    discover: { dns: orders.internal, port: 443, scheme: ▸https }\n',
    says: "pool 'a' finds addresses of https endpoints, and does not say whom they must prove to be — add tls: { serverName: … }",
  },
  { what: 'nothing where a list should be', text: `${POOL}▸routes:\n`, says: 'expected a list, got nothing' },
  // --- values ---
  {
    what: 'a number for a duration',
    text: toPoolA('timeout: { total: ▸5 }'),
    says: 'expected a duration such as 250ms, 5s or 1m, got 5 (a number) — write 5s?',
  },
  {
    what: 'a duration with a space',
    text: toPoolA('timeout: { total: ▸5 s }'),
    says: "expected a duration such as 250ms, 5s or 1m, got '5 s' — write 5s?",
  },
  {
    what: 'a duration that is a word',
    text: toPoolA('timeout: { total: ▸soon }'),
    says: "expected a duration such as 250ms, 5s or 1m, got 'soon'",
  },
  {
    what: 'a size in other units',
    text: toPoolA('limits: { body: ▸1MB }'),
    says: "expected a size such as 512B, 64KiB or 8MiB, or none, got '1MB' — write 1MiB?",
  },
  {
    what: 'a percentage without its sign',
    text: pool('health: { panic: { below: ▸50 } }'),
    says: 'expected a percentage such as 20% or 50%, got 50 (a number) — write 50%?',
  },
  {
    what: 'a misspelt word',
    text: pool('balance: ▸roundrobin'),
    says: "expected adaptive, ip-hash, least-connections, least-response-time, random, round-robin or url-hash, an object with hash, or an object with adaptive, got 'roundrobin' — did you mean 'round-robin'?",
  },
  {
    what: 'an unknown word',
    text: pool('balance: ▸fastest'),
    says: "expected adaptive, ip-hash, least-connections, least-response-time, random, round-robin or url-hash, an object with hash, or an object with adaptive, got 'fastest'",
  },
  {
    what: 'an unknown kind of hash',
    text: pool('balance: { hash: ▸body }'),
    says: "expected a hash key such as header:x-user, cookie:session or path, got 'body'",
  },
  {
    what: 'text for a number',
    text: pool('connections: { max: ▸"many" }'),
    says: "expected a whole number, got 'many'",
  },
  { what: 'a number too small', text: pool('connections: { max: ▸0 }'), says: 'expected at least 1, got 0' },
  {
    what: 'a word for true or false',
    text: pool('tls: { verify: ▸no }'),
    says: "expected true or false, got 'no' — write false?",
  },
  {
    what: 'a number for a text',
    text: toPoolA('match: { headers: { x-version: ▸2 } }'),
    says: 'expected text, an object with regex or an object with present, got 2 (a number) — write "2"?',
  },
  {
    what: 'a method in lower case',
    text: toPoolA('match: { methods: [▸get] }'),
    says: "expected a method such as GET or POST, got 'get' — write GET?",
  },
  {
    what: 'an empty list',
    text: toPoolA('match: { methods: ▸[] }'),
    says: 'expected at least 1 in this list, got none',
  },
  {
    what: 'a status that is none',
    text: pool('health: { active: { expect: { status: [▸2xx] } } }'),
    says: "expected a status range such as 200-399 or 204, got '2xx'",
  },
  {
    what: 'a status range backwards',
    text: pool('health: { active: { expect: { status: [▸399-200] } } }'),
    says: '399-200 is an empty range — write 200-399?',
  },
  {
    what: 'a port that cannot be',
    file: 'gateway.yaml',
    text: 'listen:\n  - port: ▸70000\n',
    says: 'expected at most 65535, got 70000',
  },
  {
    what: 'threads that are no number',
    file: 'gateway.yaml',
    text: 'threads: ▸all\n',
    says: "expected auto or a whole number, got 'all'",
  },
  {
    what: 'a probe without pause',
    text: pool('health: { active: { interval: ▸0s } }'),
    says: 'expected a duration longer than 0',
  },
  // --- endpoints ---
  {
    what: 'an endpoint without a scheme',
    text: 'pools: { a: { endpoints: [▸10.0.0.1:80] } }\n',
    says: "expected a URL such as http://10.0.0.11:8080, or an object with url, got '10.0.0.1:80' — write http://10.0.0.1:80?",
  },
  {
    what: 'an endpoint with a path',
    text: 'pools: { a: { endpoints: [▸http://a:1/x] } }\n',
    says: "expected a URL such as http://10.0.0.11:8080, or an object with url, got 'http://a:1/x'",
  },
  {
    what: 'an endpoint whose port cannot be',
    text: 'pools: { a: { endpoints: [▸http://a:99999] } }\n',
    says: "'http://a:99999' is not the URL of an endpoint: its host or port cannot be",
  },
  {
    what: 'an endpoint listed twice',
    text: 'pools: { a: { endpoints: [http://a:80, ▸http://A/] } }\n',
    says: "endpoint 'http://a' is listed twice: first at 1:27 — give it more weight instead",
  },
  {
    what: 'a pool with a bad name',
    text: 'pools: { ▸a b: { endpoints: [http://a:1] } }\n',
    says: "'a b' is no name for a pool — letters, digits, . _ and -, at most 128",
  },
  // --- matches ---
  {
    what: 'a path without its slash',
    text: toPoolA('match: { path: ▸orders }'),
    says: "expected a path such as /orders or /orders/*, or an object with regex, got 'orders' — write /orders?",
  },
  {
    what: 'a path with //',
    text: toPoolA('match: { path: ▸/a//b }'),
    says: "path '/a//b' is not normalised — write /a/b",
  },
  {
    what: 'a path with ..',
    text: toPoolA('match: { path: ▸/a/../b }'),
    says: "path '/a/../b' is not normalised — write /b",
  },
  {
    what: 'a path with a query',
    text: toPoolA('match: { path: ▸/a?b }'),
    says: "path '/a?b': a path has no query and no fragment",
  },
  {
    what: 'a path with a fragment',
    text: toPoolA('match: { path: ▸"/a#b" }'),
    says: "path '/a#b': a path has no query and no fragment",
  },
  {
    what: 'a * in the middle of a path',
    text: toPoolA('match: { path: ▸/a/*/b }'),
    says: "path '/a/*/b': * stands for the rest of a path as its last segment only; a literal one is %2A",
  },
  {
    what: 'a host with a port',
    text: toPoolA('match: { host: ▸example.com:80 }'),
    says: "host 'example.com:80': a host is matched without its port",
  },
  {
    what: 'a * in the middle of a host',
    text: toPoolA('match: { host: ▸api.*.com }'),
    says: "host 'api.*.com' is neither a host name nor *.name",
  },
  {
    what: 'the second of two hosts',
    text: toPoolA('match: { host: [a.example, ▸b..example] }'),
    says: "host 'b..example' is neither a host name nor *.name",
  },
  {
    what: 'a network that is none',
    text: toPoolA('match: { client: { cidr: [10.0.0.0/8, ▸10.0.0.0/33] } }'),
    says: "'10.0.0.0/33' is not a network: its prefix length is a number from 0 to 32",
  },
  {
    what: 'a regex that does not close',
    text: toPoolA('match: { path: { regex: ▸/(a } }'),
    says: `'/(a' is not an RE2 regular expression: error parsing regexp: missing closing ): \`/(a\``,
  },
  {
    what: 'a regex with lookahead',
    text: toPoolA('match: { headers: { X-Id: { regex: ▸(?=a)b } } }'),
    says: `'(?=a)b' is not an RE2 regular expression: error parsing regexp: invalid or unsupported Perl syntax: \`(?=\``,
  },
  {
    what: 'a field name with a space',
    text: toPoolA('match: { headers: { ▸x id: a } }'),
    says: "'x id' is not a field name",
  },
  {
    what: 'the second alternative of a match',
    text: toPoolA('match: [{ path: /a }, { ▸pth: /b }]'),
    says: "unknown key 'pth' — did you mean 'path'?",
  },
  // --- where a route leads ---
  { what: 'an unknown pool', text: route('pool: ▸aa'), says: "no pool is named 'aa' — did you mean 'a'?" },
  {
    what: 'a route that leads nowhere',
    text: `${POOL}routes:\n  - ▸name: r\n`,
    says: "route 'r' leads nowhere — give it one of pool, redirect, split",
  },
  {
    what: 'an unknown pool in a split',
    text: route('split: [{ pool: a }, { pool: ▸b }]'),
    says: "split.1.pool: no pool is named 'b'",
  },
  {
    what: 'a pool and a split',
    text: toPoolA('▸split: [{ pool: a }]'),
    says: 'split: a route has a pool or a split, not both',
  },
  {
    what: 'a route defined twice',
    text: `${POOL}routes:\n  - { name: r, pool: a }\n  - { name: ▸r, match: { path: /b }, pool: a }\n`,
    says: "route 'r' is defined twice: first at routes.d/a.yaml:3:5",
  },
  {
    what: 'a route with the conditions of another',
    text: `${POOL}routes:\n  - { name: r, match: { path: /b, methods: [GET, PUT] }, pool: a }\n  - { name: s, ▸match: [{ methods: [PUT, GET], path: /b }], pool: a }\n`,
    says: "duplicate route: 's' has the same conditions as 'r' at routes.d/a.yaml:3:5",
  },
  // --- files ---
  {
    what: 'a certificate that is not there',
    text: pool('tls: { ca: ▸certs/none.pem }'),
    says: "file 'certs/none.pem' does not exist",
  },
  {
    what: 'a certificate outside the directory',
    text: pool('tls: { ca: ▸../../etc/ssl/cert.pem }'),
    says: "'../../etc/ssl/cert.pem' leads out of the configuration's directory: write an absolute path if that is meant",
  },
  {
    what: 'a pinned name that is none',
    text: pool('tls: { subjectAltNames: [spiffe://a/b, 10.0.0.1, ▸a_b?c] }'),
    says: "'a_b?c' is not a host name",
  },
  {
    what: 'a pinned address that is none',
    text: pool('tls: { subjectAltNames: [▸IP:a.test] }'),
    says: "'IP:a.test' is not an IP address",
  },
  {
    what: 'a pinned type without a name',
    text: pool('tls: { subjectAltNames: [▸"URI:"] }'),
    says: "'URI:' is a type without a name",
  },
  {
    what: 'pinned names that nobody looks at',
    text: pool('tls: { verify: false, ▸subjectAltNames: [a.test] }'),
    says: "'subjectAltNames' beside 'verify: false': no certificate is looked at — leave verify out",
  },
  { what: 'a client certificate without its key', text: pool('tls: { ▸cert: load.ts }'), says: "'cert' without 'key'" },
  // --- gateway.yaml ---
  {
    what: 'a cache with next to no memory',
    file: 'gateway.yaml',
    text: 'cache:\n  memory: ▸64KiB\n  maxEntry: 1KiB\n',
    says: 'cache.memory is less than 1MiB — give the cache more memory, or store smaller answers only',
  },
  {
    what: 'a cache that one answer could fill',
    file: 'gateway.yaml',
    text: 'cache:\n  maxEntry: ▸32MiB\n',
    says: 'cache.maxEntry is more than an eighth of cache.memory — give the cache more memory, or store smaller answers only',
  },
  {
    what: 'a cache without bound',
    file: 'gateway.yaml',
    text: 'cache:\n  memory: ▸none\n',
    says: "expected a size such as 512B, 64KiB or 8MiB, got 'none'",
  },
  {
    what: 'an admin server open to all',
    file: 'gateway.yaml',
    text: 'admin: { host: ▸0.0.0.0 }\n',
    says: "the admin server would be open to everybody on '0.0.0.0' — give it a token, or bind it to 127.0.0.1",
  },
  {
    what: 'an admin token too short',
    file: 'gateway.yaml',
    text: 'admin: { token: ▸abc }\n',
    says: 'expected at least 16 characters, got 3',
  },
  {
    what: 'one port twice',
    file: 'gateway.yaml',
    text: 'listen: [{ port: 81 }, { port: ▸81 }]\n',
    says: 'port 81 is listened on twice: first at 1:18',
  },
  {
    what: 'more time for the head of a request than for all of it',
    file: 'gateway.yaml',
    text: 'listen: [{ port: 81, limits: { requestTimeout: ▸5s } }]\n',
    says: 'headersTimeout (10000 ms) is longer than requestTimeout (5000 ms), which is for all of a request — raise requestTimeout, or lower headersTimeout',
  },
  {
    what: 'the port of the admin server',
    file: 'gateway.yaml',
    text: 'listen: [{ port: ▸9901 }]\n',
    says: "port 9901 is the admin server's too — give one of them another port",
  },
  {
    what: 'a trusted proxy that is no network',
    file: 'gateway.yaml',
    text: 'trustedProxies: [▸balancer]\n',
    says: "'balancer' is not a network: write 10.0.0.0/8, 2001:db8::/32 or an address",
  },
  {
    what: 'a default that is none',
    file: 'gateway.yaml',
    text: 'defaults: { ▸timeouts: {} }\n',
    says: "unknown key 'timeouts' — did you mean 'timeout'?",
  },
  {
    what: 'a try that may take longer than all of them',
    text: `pools: { a: { endpoints: [http://a] } }\nroutes: [{ name: r, pool: a, timeout: { total: 2s, perTry: ▸3s } }]\n`,
    says: 'timeout.perTry is longer than timeout.total, which ends all tries after 2000 ms — lower perTry, or raise total',
  },
  {
    what: 'a hedge of what is never sent twice',
    text: `pools: { a: { endpoints: [http://a] } }\nroutes: [{ name: r, match: { methods: [POST] }, pool: a, ▸hedge: {} }]\n`,
    says: 'hedge: none of the route’s methods is idempotent, and others are never sent twice: remove it',
  },
  {
    what: 'defaults with a pool',
    file: 'gateway.yaml',
    text: 'defaults: { ▸pool: a }\n',
    says: "unknown key 'pool' — known here: timeout, limits, websocket, priority, explain, auth, authorize, cache, clientCache, compress, cors, csrf, deadline, fallback, headers, hedge, ipFilter, rateLimit, redirect, retry, rewrite, securityHeaders, split, validate",
  },
];

const language = await scanLanguage();

function problemsOf({ file = 'gateway.yaml', text }: { file?: string; text: string }): string[] {
  const sources = [{ file, bytes: Buffer.from(text.replace('▸', '')) }];
  const env = { SECRET: 'hunter2-hunter2', HOST: 'example' };
  const { config, problems } = assemble(import.meta.dirname, sources, { env, language });
  expect(config).toBeUndefined();
  return problems.filter((problem) => problem.severity === 'error').map(formatProblem);
}

function markedPlace(text: string): string {
  const before = text.slice(0, text.indexOf('▸')).split('\n');
  return `${before.length}:${(before.at(-1) ?? '').length + 1}`;
}

describe('a broken file is refused where it is broken, in words that help', () => {
  it.each(BROKEN)('$what', ({ file, text, says }) => {
    const path = file ?? 'routes.d/a.yaml';
    expect(problemsOf({ file: path, text })).toEqual([`${path}:${markedPlace(text)}: error: ${says}`]);
  });
});
