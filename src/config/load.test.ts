import { describe, expect, it } from 'vitest';
import { MAX_FILE_BYTES } from './read.ts';
import { scanLanguage } from './language.ts';
import { assemble, type LoadedFiles, type LoadResult } from './load.ts';
import type { Environment } from './placeholders.ts';
import { formatProblem } from './problem.ts';
import { redact, REDACTED } from './redact.ts';

const language = await scanLanguage();

type Texts = Readonly<Record<string, string | Uint8Array>>;

function load(files: Texts, options: { env?: Environment; previous?: LoadedFiles } = {}): LoadResult {
  const sources = Object.entries(files).map(([file, text]) => ({ file, bytes: Buffer.from(text as string) }));
  return assemble('/etc/aya', sources, { ...options, language });
}

const told = (result: LoadResult) => result.problems.map(formatProblem);

const USERS =
  'pools: { users: { endpoints: [http://10.0.0.1:80] } }\nroutes: [{ name: users, match: { path: /users }, pool: users }]\n';
const ORDERS =
  'pools: { orders: { endpoints: [http://10.0.0.2:80] } }\nroutes: [{ name: orders, match: { path: /orders }, pool: orders }]\n';
const BROKEN = 'pools: { orders: { endpoint: [] } }\n';

const names = ({ config }: LoadResult) => config?.routes.map((route) => route.name);

describe('what was written becomes what the code sees', () => {
  it('fills in defaults and decodes durations, sizes and shares', () => {
    const { config } = load({ 'routes.d/users.yaml': USERS });
    expect(config?.pools[0]).toMatchObject({
      name: 'users',
      source: 'routes.d/users.yaml:1:10',
      endpoints: [{ url: 'http://10.0.0.1', weight: 1, backup: false }],
      balance: 'least-connections',
      health: { passive: { ejectFor: 30_000, maxEjected: 0.5 } },
      limits: { responseHeaders: 32 * 1024 },
    });
    expect(config?.routes[0]).toMatchObject({ source: 'routes.d/users.yaml:2:10', timeout: { head: 15_000 } });
    expect(config?.gateway).toMatchObject({ listen: [{ host: '0.0.0.0', port: 8080 }], threads: 'auto' });
  });

  it('takes a route without a match for one that matches everything', () => {
    const { config } = load({
      'routes.d/a.yaml': 'pools: { a: { endpoints: [http://a] } }\nroutes: [{ name: a, pool: a }]',
    });
    expect(config?.routes[0]?.match).toEqual([{}]);
  });

  it('spells an origin in one way: lower case, no slash, no default port, IPv6 in brackets', () => {
    const endpoints = '[http://API.example:8080/, "http://[0:0::1]:8080", "https://a:443"]';
    const { config } = load({ 'routes.d/a.yaml': `pools: { a: { endpoints: ${endpoints} } }` });
    expect(config?.pools[0]?.endpoints.map(({ url }) => url)).toEqual([
      'http://api.example:8080',
      'http://[::1]:8080',
      'https://a',
    ]);
  });

  it('compares hosts and field names without case, and leaves the rest as it was written', () => {
    const match = '{ host: API.Example.com, headers: { X-Version: A }, query: { Q: B } }';
    const { config } = load({ 'routes.d/users.yaml': USERS.replace('{ path: /users }', match) });
    expect(config?.routes[0]?.match).toEqual([
      { host: 'api.example.com', headers: { 'x-version': 'A' }, query: { Q: 'B' } },
    ]);
  });

  it('keeps the words of YAML 1.1 as text', () => {
    const { config } = load({
      'routes.d/users.yaml': USERS.replace('{ path: /users }', '{ headers: { x-a: no, x-b: on } }'),
    });
    expect(config?.routes[0]?.match).toEqual([{ headers: { 'x-a': 'no', 'x-b': 'on' } }]);
  });

  it('reads a byte order mark, CRLF and an empty file', () => {
    const { config, problems } = load({
      'gateway.yaml': '',
      'routes.d/a.yaml': `\ufeff${USERS.replaceAll('\n', '\r\n')}`,
    });
    expect(problems).toEqual([]);
    expect(config?.routes[0]?.source).toBe('routes.d/a.yaml:2:10');
  });

  it('resolves files of certificates against the directory', () => {
    const file = 'pools: { a: { endpoints: [https://a], tls: { ca: load.ts } } }\nroutes: [{ name: a, pool: a }]';
    const sources = [{ file: 'routes.d/a.yaml', bytes: Buffer.from(file) }];
    const { config } = assemble(import.meta.dirname, sources, { language });
    expect(config?.pools[0]?.tls?.ca).toBe(`${import.meta.dirname}/load.ts`);
  });
});

describe('defaults lie under every route', () => {
  const gateway = 'defaults: { timeout: { total: 9s, head: 3s }, retry: { on: [connect, 503] } }';

  it('key by key: a route overrides what it names and keeps the rest', () => {
    const route = USERS.replace('pool: users }]', 'pool: users, timeout: { head: 1s }, retry: { attempts: 1 } }]');
    const { config } = load({ 'gateway.yaml': gateway, 'routes.d/users.yaml': route });
    expect(config?.routes[0]).toMatchObject({
      timeout: { total: 9_000, head: 1_000, idle: 60_000 },
      retry: { attempts: 1, on: ['connect', 503] },
    });
  });

  it('lists are replaced, and a concern can be turned off', () => {
    const on = USERS.replace('pool: users }]', 'pool: users, retry: { on: [reset] } }]');
    const off = ORDERS.replace('pool: orders }]', 'pool: orders, retry: false }]');
    const { config } = load({ 'gateway.yaml': gateway, 'routes.d/orders.yaml': off, 'routes.d/users.yaml': on });
    expect(config?.routes.map((route) => route.retry)).toMatchObject([false, { on: ['reset'] }]);
  });
});

describe('the environment', () => {
  const at = (port: string) => `listen:\n  - port: ${port}\n`;
  const portOf = (result: LoadResult) => result.config?.gateway.listen[0]?.port;

  it('fills a plain value, which is then typed as if it had been written', () => {
    expect(portOf(load({ 'gateway.yaml': at('${PORT}'), 'routes.d/u.yaml': USERS }, { env: { PORT: '81' } }))).toBe(81);
    expect(portOf(load({ 'gateway.yaml': at('${PORT:-82}'), 'routes.d/u.yaml': USERS }))).toBe(82);
    expect(portOf(load({ 'gateway.yaml': at('${PORT:-82}'), 'routes.d/u.yaml': USERS }, { env: { PORT: '' } }))).toBe(
      82,
    );
  });

  it('leaves a quoted value text', () => {
    const result = load({ 'gateway.yaml': at('"${PORT}"') }, { env: { PORT: '81' } });
    expect(told(result)).toEqual(["gateway.yaml:2:11: error: expected a whole number, got '${PORT}' — write ${PORT}?"]);
  });

  it('stands inside longer text, and $${ stands for itself', () => {
    const match = '{ headers: { x-a: "a-${A}-$${A}-${B:-b}" } }';
    const file = USERS.replace('{ path: /users }', () => match);
    const { config } = load({ 'routes.d/u.yaml': file }, { env: { A: '1' } });
    expect(config?.routes[0]?.match).toEqual([{ headers: { 'x-a': 'a-1-${A}-b' } }]);
  });

  it('cannot open a structure: a value is a word, whatever is in it', () => {
    const text =
      'pools: { a: { endpoints: [http://a] } }\nroutes:\n  - name: r\n    pool: a\n    match:\n      headers:\n        x-a: ${A}\n';
    const { config } = load({ 'routes.d/u.yaml': text }, { env: { A: '{ regex: ".*" }\nevil: 1' } });
    expect(config?.routes[0]?.match).toEqual([{ headers: { 'x-a': '{ regex: ".*" }\nevil: 1' } }]);
  });

  it('is never shown in a problem', () => {
    const file =
      'pools: { a: { endpoints: ["${URL}"], balance: "${WORD}" } }\nroutes: [{ name: r, pool: "${POOL}", match: { path: { regex: "${RE}" } } }]';
    const env = { URL: 'ftp://s3cret-host', WORD: 's3cret-word', POOL: 's3cret-pool', RE: '(s3cret' };
    for (const unset of [
      {},
      { URL: 'http://s3cret-host', WORD: 'random' },
      { URL: 'http://s3cret-host', WORD: 'random', RE: 'a' },
    ]) {
      const messages = told(load({ 'routes.d/a.yaml': file }, { env: { ...env, ...unset } }));
      expect(messages.length).toBeGreaterThan(0);
      expect(messages.join()).not.toContain('s3cret');
    }
  });
});

describe('what opens doors is not shown', () => {
  it('hides tokens, and what came from a secret variable wherever it stands', () => {
    const gateway = 'admin:\n  token: ${ADMIN}\n';
    const users = USERS.replace(
      'pool: users }]',
      'pool: users, headers: { request: { set: { x-upstream: "Bearer ${USERS_TOKEN}", x-env: "${STAGE}" } } } }]',
    );
    const env = { ADMIN: '0123456789abcdef', USERS_TOKEN: 'let-me-in', STAGE: 'production' };
    const { config, secrets } = load({ 'gateway.yaml': gateway, 'routes.d/u.yaml': users }, { env });
    const shown = redact(config!, secrets);
    expect(shown.gateway.admin.token).toBe(REDACTED);
    expect(shown.routes[0]?.headers?.request?.set).toEqual({ 'x-upstream': REDACTED, 'x-env': 'production' });
    expect(JSON.stringify(shown)).not.toMatch(/let-me-in|0123456789abcdef/);
    expect(config?.gateway.admin.token).toBe('0123456789abcdef');
  });
});

describe('at start any error refuses the whole', () => {
  it('and all errors of all files are told', () => {
    const result = load({
      'gateway.yaml': 'threads: many\nlistn: []\n',
      'routes.d/a.yaml': USERS.replace('pool: users }', 'pool: user, timout: 1s }'),
      'routes.d/b.yaml': BROKEN,
    });
    expect(result.config).toBeUndefined();
    expect(result.problems.map(({ file, line, column }) => `${file}:${line}:${column}`)).toEqual([
      'gateway.yaml:1:10',
      'gateway.yaml:2:1',
      'routes.d/a.yaml:2:62',
      'routes.d/b.yaml:1:20',
    ]);
  });

  it('a file that others refer to is broken: they are not blamed for it', () => {
    const other = 'routes: [{ name: more, match: { path: /more }, pool: users }]';
    const result = load({ 'routes.d/a.yaml': other, 'routes.d/users.yaml': `${USERS}oops: [` });
    expect(result.problems.map(({ file }) => file)).toEqual(['routes.d/users.yaml']);
  });

  it('an empty directory is probably the wrong one', () => {
    expect(told(load({}))).toEqual([
      '.:1:1: error: no gateway.yaml and no route files in routes.d/: is this the right directory?',
    ]);
  });
});

describe('warnings do not refuse', () => {
  it('tells of pools that nothing uses, that are empty, that take nothing', () => {
    const file =
      'pools: { a: { endpoints: [] }, b: { endpoints: [{ url: http://b, weight: 0 }] }, c: { endpoints: [http://c], tls: { verify: false } } }\nroutes: [{ name: r, pool: a }]';
    const result = load({ 'routes.d/a.yaml': file });
    expect(result.config).toBeDefined();
    expect(told(result)).toEqual([
      "routes.d/a.yaml:1:26: warning: pool 'a' has no endpoints: requests to it get 503",
      "routes.d/a.yaml:1:32: warning: pool 'b' is used by no route",
      "routes.d/a.yaml:1:48: warning: all endpoints of pool 'b' have weight 0: none takes a request",
      "routes.d/a.yaml:1:82: warning: pool 'c' is used by no route",
      "routes.d/a.yaml:1:110: warning: pool 'c' has no https endpoint: its tls settings do nothing",
      "routes.d/a.yaml:1:125: warning: pool 'c' accepts any certificate: whoever is in between can read and change everything",
    ]);
  });

  it('tells of plugins whose settings undo each other, and still finds what else is wrong', () => {
    const route = (rest: string) =>
      `pools: { a: { endpoints: [http://a] } }\nroutes: [{ name: r, retry: { budget: 0% }, ${rest} }]`;
    const result = load({ 'routes.d/a.yaml': route('pool: a') });
    expect(result.config).toBeDefined();
    expect(told(result)).toEqual([
      expect.stringMatching(
        /^routes\.d\/a\.yaml:2:38: warning: retry\.budget: at 0% only tries .* say on: \[connect\]/,
      ),
    ]);
    const nowhere = told(load({ 'routes.d/a.yaml': route('timeout: {}') }));
    expect(nowhere).toContainEqual(expect.stringContaining("error: route 'r' leads nowhere"));
  });

  it('tells of a route that another hides', () => {
    const file = `${USERS.replace('/users }', '/users/* }').trimEnd().slice(0, -1)}, { name: late, match: { path: { regex: "/users/[0-9]+" } }, pool: users }]`;
    const [warning] = told(load({ 'routes.d/a.yaml': file }));
    expect(warning).toContain(
      "warning: route 'late' never matches: 'users' at routes.d/a.yaml:2:10 takes its requests",
    );
  });
});

describe('names across files', () => {
  it('a pool or a route defined in two files names both places', () => {
    const result = load({ 'routes.d/a.yaml': USERS, 'routes.d/b.yaml': USERS });
    expect(told(result)).toEqual([
      "routes.d/b.yaml:1:10: error: pool 'users' is defined twice: first at routes.d/a.yaml:1:10",
      "routes.d/b.yaml:2:18: error: route 'users' is defined twice: first at routes.d/a.yaml:2:10",
    ]);
  });

  it('a route may use a pool of another file', () => {
    const other = 'routes: [{ name: more, match: { path: /more }, pool: users }]';
    expect(names(load({ 'routes.d/a.yaml': other, 'routes.d/users.yaml': USERS }))).toEqual(['more', 'users']);
  });
});

describe('on a reload a broken file is quarantined', () => {
  const first = load({ 'routes.d/orders.yaml': ORDERS, 'routes.d/users.yaml': USERS });
  const reload = (files: Texts, previous = first.files) => load(files, { previous });
  const states = ({ files }: LoadResult) => files.map(({ path, state }) => `${path} ${state}`);

  it('its last good version goes on serving beside what is new', () => {
    const result = reload({
      'routes.d/orders.yaml': BROKEN,
      'routes.d/users.yaml': USERS.replace('/users', '/people'),
    });
    expect(result.config?.routes.map((route) => route.match[0]?.path)).toEqual(['/orders', '/people']);
    expect(states(result)).toEqual(['routes.d/orders.yaml stale', 'routes.d/users.yaml ok']);
    expect(result.files[0]?.problems.length).toBe(1);
    expect(told(result)[0]).toContain('routes.d/orders.yaml:1:20: error');
  });

  it('through several reloads, until it is mended', () => {
    const broken = reload({ 'routes.d/orders.yaml': BROKEN, 'routes.d/users.yaml': USERS });
    const worse = reload({ 'routes.d/orders.yaml': 'routes: [', 'routes.d/users.yaml': USERS }, broken.files);
    expect(names(worse)).toEqual(['orders', 'users']);
    expect(worse.config?.revision).toBe(first.config?.revision);
    const mended = reload(
      { 'routes.d/orders.yaml': ORDERS.replace('/orders', '/o'), 'routes.d/users.yaml': USERS },
      worse.files,
    );
    expect(states(mended)).toEqual(['routes.d/orders.yaml ok', 'routes.d/users.yaml ok']);
    expect(mended.config?.routes[0]?.match[0]?.path).toBe('/o');
  });

  it('a new file that is broken serves nothing, and the rest goes on', () => {
    const result = reload({
      'routes.d/new.yaml': BROKEN,
      'routes.d/orders.yaml': ORDERS,
      'routes.d/users.yaml': USERS,
    });
    expect(names(result)).toEqual(['orders', 'users']);
    expect(states(result)[0]).toBe('routes.d/new.yaml stale');
  });

  it('a file that was removed is removed', () => {
    expect(names(reload({ 'routes.d/users.yaml': USERS }))).toEqual(['users']);
  });

  it('a changed file that names a pool which does not exist is the broken one', () => {
    const result = reload({
      'routes.d/orders.yaml': ORDERS.replace('pool: orders', 'pool: ordres'),
      'routes.d/users.yaml': USERS,
    });
    expect(result.config?.routes[0]?.pool).toBe('orders');
    expect(states(result)[0]).toBe('routes.d/orders.yaml stale');
  });

  it('a pool moved to a file that is broken: both files stay as they were', () => {
    const without = 'routes: [{ name: orders, match: { path: /orders }, pool: orders }]';
    const result = reload({ 'routes.d/orders.yaml': without, 'routes.d/users.yaml': `${USERS}oops: {` });
    expect(result.config?.revision).toBe(first.config?.revision);
    expect(states(result)).toEqual(['routes.d/orders.yaml stale', 'routes.d/users.yaml stale']);
  });

  it('when no mixture fits together the whole is refused', () => {
    const before = load({
      'routes.d/more.yaml': 'routes: [{ name: more, match: { path: /more }, pool: users }]',
      'routes.d/users.yaml': USERS,
    });
    const result = reload(
      { 'routes.d/more.yaml': 'routes: [{ name: more, match: { path: /more }, pool: users }]' },
      before.files,
    );
    expect(result.config).toBeUndefined();
    expect(told(result)[0]).toContain("no pool is named 'users'");
  });

  it('a broken gateway.yaml leaves the last good one', () => {
    const before = load({ 'gateway.yaml': 'threads: 3', 'routes.d/users.yaml': USERS });
    const result = reload({ 'gateway.yaml': 'threads: [', 'routes.d/users.yaml': USERS }, before.files);
    expect(result.config?.gateway.threads).toBe(3);
    expect(states(result)[0]).toBe('gateway.yaml stale');
  });
});

describe('a revision names contents, not files', () => {
  const revision = (text: string) => load({ 'routes.d/u.yaml': text }).config?.revision;

  it('comments, lines and the order of keys do not change it', () => {
    const moved =
      '# hello\n\nroutes: [{ pool: users, match: { path: /users }, name: users }]\npools: { users: { endpoints: [{ url: http://10.0.0.1/ }] } }\n';
    expect(revision(moved)).toBe(revision(USERS));
  });

  it('a setting does', () => {
    expect(revision(USERS.replace(':80]', ':81]'))).not.toBe(revision(USERS));
  });
});

describe('a hostile file harms nobody', () => {
  const refused = (bytes: string | Uint8Array) => {
    const result = load({ 'routes.d/a.yaml': bytes });
    expect(result.config).toBeUndefined();
    return told(result)[0];
  };

  it('a billion laughs', () => {
    const lines = [
      'a: &a [x, x]',
      ...[...'bcdefghij'].map((key, i) => `${key}: &${key} [*${'abcdefghij'[i]}, *${'abcdefghij'[i]}]`),
    ];
    expect(refused(lines.join('\n'))).toContain("routes.d/a.yaml:2:8: error: alias '*a': aliases are not supported");
  });

  it('prototype keys, and Object.prototype is as it was', () => {
    const before = Object.getOwnPropertyNames(Object.prototype);
    refused(
      '__proto__: { polluted: 1 }\nroutes: [{ constructor: { prototype: { polluted: 1 } } }]\n<<: { __proto__: { polluted: 1 } }',
    );
    expect(Object.getOwnPropertyNames(Object.prototype)).toEqual(before);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });

  it('more than one MiB', () => {
    expect(refused(`#${'x'.repeat(MAX_FILE_BYTES)}`)).toBe('routes.d/a.yaml:1:1: error: the file is larger than 1 MiB');
  });

  it('one MiB of brackets', () => {
    expect(refused('['.repeat(MAX_FILE_BYTES - 1))).toMatch(/^routes\.d\/a\.yaml:\d+:\d+: error: /);
  });

  it('one MiB of one key', () => {
    const { problems } = load({ 'routes.d/a.yaml': 'a: 1\n'.repeat(200_000) });
    expect(problems.length).toBe(100);
  });

  it('nesting without end', () => {
    expect(refused(`pools: ${'['.repeat(100)}${']'.repeat(100)}`)).toContain('nested more than 32 levels deep');
    expect(refused('- '.repeat(100_000))).toContain('nested more than 32 levels deep');
  });

  it('bytes that are not UTF-8', () => {
    expect(refused(Uint8Array.of(0x61, 0x3a, 0xff))).toBe('routes.d/a.yaml:1:1: error: the file is not UTF-8');
  });

  it('a NUL', () => {
    expect(refused('a: 1\nb: \0')).toBe('routes.d/a.yaml:2:4: error: the file holds a NUL byte: is it text?');
  });

  it('a regex that would backtrack for ever elsewhere is linear here, and so accepted', () => {
    const file = USERS.replace('{ path: /users }', '{ path: { regex: "(a+)+$" } }');
    expect(load({ 'routes.d/a.yaml': file }).problems).toEqual([]);
  });
});
