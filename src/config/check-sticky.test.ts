import { expect, it } from 'vitest';
import { scanLanguage } from './language.ts';
import { assemble } from './load.ts';
import { formatProblem } from './problem.ts';

const language = await scanLanguage();

/** @param keys further keys of a pool, on line 4. */
function problemsOf(keys: string, gateway = 'secret: of the whole fleet\n') {
  const text = `pools:\n  orders:\n    endpoints: [http://10.0.0.1:80]\n    ${keys}\nroutes: [{ name: r, pool: orders }]\n`;
  const sources = [
    { file: 'gateway.yaml', bytes: Buffer.from(gateway) },
    { file: 'routes.d/a.yaml', bytes: Buffer.from(text) },
  ];
  const { config, problems } = assemble(import.meta.dirname, sources, { env: {}, language });
  return { sticky: config?.pools[0]!.sticky, problems: problems.map(formatProblem) };
}

it('needs a cookie, or what names a session', () => {
  expect(problemsOf('sticky: { cookie: aya-orders, ttl: 1h }')).toEqual({
    sticky: {
      cookie: 'aya-orders',
      ttl: 3_600_000,
      returns: false,
      whileDraining: 'move',
      lifetime: 'session',
      secure: 'auto',
      httpOnly: true,
      sameSite: 'lax',
      path: '/',
    },
    problems: [],
  });
  for (const on of ['cookie:JSESSIONID', 'header:x-session', 'ip', 'consumer']) {
    expect(problemsOf(`sticky: { on: '${on}' }`)).toEqual({
      sticky: { on, ttl: 1_800_000, returns: false, whileDraining: 'move' },
      problems: [],
    });
  }
});

it.each([
  [
    'balance: ip-hash\n    sticky: { on: ip }',
    /^routes.d\/a.yaml:5:5: error: 'sticky' beside a balance by hash.* — leave out one/,
  ],
  ['balance: { hash: path }\n    sticky: { on: ip }', /5:5: error: 'sticky' beside a balance by hash/],
  ['sticky: {}', /4:\d+: error/],
  ['sticky: { cookie: a, on: ip }', /4:\d+: error/],
  ['sticky: { cookie: "a b" }', /4:\d+: error: expected a name of a cookie/],
  ['sticky: { on: tls-session }', /4:\d+: error: expected a session key/],
  ['sticky: { cookie: a, ttl: 0s }', /4:31: error: expected at least 1s/],
  ['sticky: { on: ip, maxAge: 999ms }', /error: expected at least 1s/],
  ['sticky: { cookie: a, ttl: 2h, maxAge: 1h }', /'maxAge' is shorter than 'ttl'/],
  ['sticky: { cookie: a, sameSite: none, secure: never }', /browsers drop cookies with 'sameSite: none'/],
  ['sticky: { cookie: __Host-a, secure: always, path: /x }', /browsers drop '__Host-a' with a path or a domain/],
  ['sticky: { cookie: __Secure-a }', /browsers drop '__Secure-a' where it is not secure/],
  ['sticky: { cookie: a, lifetime: permanent }', /'lifetime: permanent' without an end — set ttl or maxAge/],
  ['sticky: { cookie: a, path: "/; Domain=other" }', /4:\d+: error: expected a path/],
  ['sticky: { cookie: a, domain: "x; Path=/" }', /4:\d+: error: expected a domain/],
  ['sticky: { cookie: a, secrets: [short] }', /4:\d+: error/],
  ['sticky: { cookie: a, secrets: [] }', /4:\d+: error/],
])('refuses %s', (keys, says) => {
  const { problems } = problemsOf(keys);
  expect(problems).toHaveLength(1);
  expect(problems[0]).toMatch(says);
});

it('is warned where nobody else would believe the cookies, or where two pools set the same', () => {
  const alone = problemsOf('sticky: { cookie: a }', 'threads: 1\n');
  expect(alone.problems).toEqual([expect.stringContaining("warning: pool 'orders': nobody but this process")]);
  const own = problemsOf('sticky: { cookie: a, secrets: [of this pool and all gateways] }', 'threads: 1\n');
  expect(own.problems).toEqual([]);
  const twice = problemsOf(
    'sticky: { cookie: a }\n  users:\n    endpoints: [http://10.0.0.2:80]\n    sticky: { cookie: a }\n  docs:\n    endpoints: [http://10.0.0.3:80]\n    sticky: { cookie: a, path: /docs }',
  );
  expect(twice.problems.filter((line) => line.includes('both set'))).toEqual([
    expect.stringMatching(/^routes.d\/a.yaml:7:15: warning: pools 'orders' and 'users' both set the cookie 'a'/),
  ]);
});

it('goes with every balance but those by hash', () => {
  for (const balance of ['round-robin', 'random', 'least-response-time', '{ adaptive: {} }']) {
    expect(problemsOf(`balance: ${balance}\n    sticky: { on: ip }`).problems).toEqual([]);
  }
});

it('takes a list of secrets for the gateway, and none that could be guessed', () => {
  const { problems } = problemsOf(
    'sticky: { cookie: a }',
    'secret: [the next of all gateways, the last of all gateways]\n',
  );
  expect(problems).toEqual([]);
  expect(problemsOf('sticky: { cookie: a }', 'secret: hunter2\n').problems[0]).toMatch(/gateway.yaml:1:9: error/);
});
