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
  // --- YAML ---
  { what: 'a list that is not closed', text: 'pools: {}\nroutes: [\n▸', says: '' },
  { what: 'a tab as indentation', text: 'pools:\n▸\ta: 1\n', says: '' },
  { what: 'a key written twice', text: 'pools: {}\n▸pools: {}\n', says: '' },
  { what: 'a second document', text: `${POOL}▸---\nroutes: []\n`, says: '' },
  { what: 'an alias', text: 'pools: {}\nroutes: [&r { name: r }, ▸*r]\n', says: '' },
  { what: 'a merge key', text: 'pools: {}\nroutes: [{ ▸<<: { name: r } }]\n', says: '' },
  { what: '__proto__', text: 'pools:\n  ▸__proto__: { polluted: yes }\n', says: '' },
  { what: 'constructor.prototype', text: 'pools:\n  ▸constructor: { prototype: { polluted: yes } }\n', says: '' },
  { what: 'a tag of its own', text: 'pools: ▸!js/function {}\n', says: '' },
  { what: 'a list as a key', text: 'pools:\n  ? ▸[a]\n  : {}\n', says: '' },
  { what: 'a list as the file', text: '▸- name: r\n', says: '' },
  { what: 'a placeholder bare in braces', text: 'pools: { a: { endpoints: [http://$▸{HOST}] } }\n', says: '' },
  // --- placeholders ---
  {
    what: 'a variable that is not set',
    text: 'pools:\n  a:\n    endpoints:\n      - http://▸${MISSING}:80\n',
    says: '',
  },
  { what: 'a placeholder that names nothing', text: 'pools:\n  a:\n    endpoints:\n      - "▸${}"\n', says: '' },
  { what: 'a placeholder left open', text: 'pools:\n  a:\n    endpoints:\n      - http://▸${HOST\n', says: '' },
  {
    what: 'a placeholder for a file',
    text: 'pools:\n  a:\n    endpoints:\n      - http://▸${file:/etc/passwd}\n',
    says: '',
  },
  {
    what: 'a number from the environment where it is no number',
    file: 'gateway.yaml',
    text: 'listen:\n  - port: ▸${SECRET}\n',
    says: '',
  },
  // --- keys ---
  { what: 'a misspelt key', text: toPoolA('▸timout: { total: 1s }'), says: '' },
  { what: 'a key in another style', text: pool('▸load_balance: random'), says: '' },
  { what: 'an unknown key at the top', text: `▸upstreams: {}\n${POOL}`, says: '' },
  { what: 'a misspelt key deep down', text: pool('health: { active: { ▸intervall: 1s } }'), says: '' },
  {
    what: 'an endpoint with an unknown key',
    text: 'pools:\n  a:\n    endpoints:\n      - { url: http://a:1, ▸wieght: 2 }\n',
    says: '',
  },
  { what: 'a route without a name', text: `${POOL}routes:\n  - ▸pool: a\n`, says: '' },
  { what: 'a pool without endpoints', text: 'pools:\n  ▸a: {}\n', says: '' },
  { what: 'nothing where a list should be', text: `${POOL}▸routes:\n`, says: '' },
  // --- values ---
  { what: 'a number for a duration', text: toPoolA('timeout: { total: ▸5 }'), says: '' },
  { what: 'a duration with a space', text: toPoolA('timeout: { total: ▸5 s }'), says: '' },
  { what: 'a duration that is a word', text: toPoolA('timeout: { total: ▸soon }'), says: '' },
  { what: 'a size in other units', text: toPoolA('limits: { body: ▸1MB }'), says: '' },
  { what: 'a percentage without its sign', text: pool('health: { panic: { below: ▸50 } }'), says: '' },
  { what: 'a misspelt word', text: pool('balance: ▸roundrobin'), says: '' },
  { what: 'an unknown word', text: pool('balance: ▸fastest'), says: '' },
  { what: 'an unknown kind of hash', text: pool('balance: { hash: ▸body }'), says: '' },
  { what: 'text for a number', text: pool('connections: { max: ▸"many" }'), says: '' },
  { what: 'a number too small', text: pool('connections: { max: ▸0 }'), says: '' },
  { what: 'a word for true or false', text: pool('tls: { verify: ▸no }'), says: '' },
  { what: 'a number for a text', text: toPoolA('match: { headers: { x-version: ▸2 } }'), says: '' },
  { what: 'a method in lower case', text: toPoolA('match: { methods: [▸get] }'), says: '' },
  { what: 'an empty list', text: toPoolA('match: { methods: ▸[] }'), says: '' },
  { what: 'a status that is none', text: pool('health: { active: { expect: { status: [▸2xx] } } }'), says: '' },
  { what: 'a status range backwards', text: pool('health: { active: { expect: { status: [▸399-200] } } }'), says: '' },
  { what: 'a port that cannot be', file: 'gateway.yaml', text: 'listen:\n  - port: ▸70000\n', says: '' },
  { what: 'threads that are no number', file: 'gateway.yaml', text: 'threads: ▸all\n', says: '' },
  { what: 'a probe without pause', text: pool('health: { active: { interval: ▸0s } }'), says: '' },
  // --- endpoints ---
  { what: 'an endpoint without a scheme', text: 'pools: { a: { endpoints: [▸10.0.0.1:80] } }\n', says: '' },
  { what: 'an endpoint with a path', text: 'pools: { a: { endpoints: [▸http://a:1/x] } }\n', says: '' },
  { what: 'an endpoint whose port cannot be', text: 'pools: { a: { endpoints: [▸http://a:99999] } }\n', says: '' },
  { what: 'an endpoint listed twice', text: 'pools: { a: { endpoints: [http://a:80, ▸http://A/] } }\n', says: '' },
  { what: 'a pool with a bad name', text: 'pools: { ▸a b: { endpoints: [http://a:1] } }\n', says: '' },
  // --- matches ---
  { what: 'a path without its slash', text: toPoolA('match: { path: ▸orders }'), says: '' },
  { what: 'a path with //', text: toPoolA('match: { path: ▸/a//b }'), says: '' },
  { what: 'a path with ..', text: toPoolA('match: { path: ▸/a/../b }'), says: '' },
  { what: 'a path with a query', text: toPoolA('match: { path: ▸/a?b }'), says: '' },
  { what: 'a path with a fragment', text: toPoolA('match: { path: ▸"/a#b" }'), says: '' },
  { what: 'a * in the middle of a path', text: toPoolA('match: { path: ▸/a/*/b }'), says: '' },
  { what: 'a host with a port', text: toPoolA('match: { host: ▸example.com:80 }'), says: '' },
  { what: 'a * in the middle of a host', text: toPoolA('match: { host: ▸api.*.com }'), says: '' },
  { what: 'the second of two hosts', text: toPoolA('match: { host: [a.example, ▸b..example] }'), says: '' },
  {
    what: 'a network that is none',
    text: toPoolA('match: { client: { cidr: [10.0.0.0/8, ▸10.0.0.0/33] } }'),
    says: '',
  },
  { what: 'a regex that does not close', text: toPoolA('match: { path: { regex: ▸/(a } }'), says: '' },
  { what: 'a regex with lookahead', text: toPoolA('match: { headers: { X-Id: { regex: ▸(?=a)b } } }'), says: '' },
  { what: 'a field name with a space', text: toPoolA('match: { headers: { ▸x id: a } }'), says: '' },
  { what: 'the second alternative of a match', text: toPoolA('match: [{ path: /a }, { ▸pth: /b }]'), says: '' },
  // --- where a route leads ---
  { what: 'an unknown pool', text: route('pool: ▸aa'), says: '' },
  { what: 'a route that leads nowhere', text: `${POOL}routes:\n  - ▸name: r\n`, says: '' },
  { what: 'an unknown pool in a split', text: route('split: [{ pool: a }, { pool: ▸b }]'), says: '' },
  { what: 'a pool and a split', text: toPoolA('▸split: [{ pool: a }]'), says: '' },
  {
    what: 'a route defined twice',
    text: `${POOL}routes:\n  - { name: r, pool: a }\n  - { name: ▸r, match: { path: /b }, pool: a }\n`,
    says: '',
  },
  {
    what: 'a route with the conditions of another',
    text: `${POOL}routes:\n  - { name: r, match: { path: /b, methods: [GET, PUT] }, pool: a }\n  - { name: s, ▸match: [{ methods: [PUT, GET], path: /b }], pool: a }\n`,
    says: '',
  },
  // --- files ---
  { what: 'a certificate that is not there', text: pool('tls: { ca: ▸certs/none.pem }'), says: '' },
  { what: 'a certificate outside the directory', text: pool('tls: { ca: ▸../../etc/ssl/cert.pem }'), says: '' },
  { what: 'a client certificate without its key', text: pool('tls: { ▸cert: load.ts }'), says: '' },
  // --- gateway.yaml ---
  { what: 'an admin server open to all', file: 'gateway.yaml', text: 'admin: { host: ▸0.0.0.0 }\n', says: '' },
  { what: 'an admin token too short', file: 'gateway.yaml', text: 'admin: { token: ▸abc }\n', says: '' },
  { what: 'one port twice', file: 'gateway.yaml', text: 'listen: [{ port: 81 }, { port: ▸81 }]\n', says: '' },
  { what: 'the port of the admin server', file: 'gateway.yaml', text: 'listen: [{ port: ▸9901 }]\n', says: '' },
  { what: 'a trusted proxy that is no network', file: 'gateway.yaml', text: 'trustedProxies: [▸balancer]\n', says: '' },
  { what: 'a default that is none', file: 'gateway.yaml', text: 'defaults: { ▸timeouts: {} }\n', says: '' },
  { what: 'defaults with a pool', file: 'gateway.yaml', text: 'defaults: { ▸pool: a }\n', says: '' },
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
