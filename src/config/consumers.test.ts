/** Consumers in gateway.yaml and consumers.d: what is wrong with them is named, and harms nobody else. */
import { describe, expect, it } from 'vitest';
import { diff } from './diff.ts';
import { scanLanguage } from './language.ts';
import { assemble, type LoadedFiles, type LoadResult } from './load.ts';
import { formatProblem } from './problem.ts';

const language = await scanLanguage();

type Texts = Readonly<Record<string, string>>;

const ROUTES =
  'pools: { a: { endpoints: [http://10.0.0.1:80] } }\nroutes: [{ name: orders, match: { path: /orders }, pool: a }]\n';

function load(files: Texts, previous?: LoadedFiles): LoadResult {
  const all = { 'routes.d/a.yaml': ROUTES, ...files };
  const sources = Object.entries(all).map(([file, text]) => ({ file, bytes: Buffer.from(text) }));
  return assemble('/etc/aya', sources, { language, env: {}, ...(previous === undefined ? {} : { previous }) });
}

const told = (result: LoadResult) => result.problems.map(formatProblem);
const names = ({ config }: LoadResult) => config?.consumers.map(({ name }) => name);
const stateOf = ({ files }: LoadResult, path: string) => files.find((file) => file.path === path)?.state;

/** Not of digits alone: to YAML that would be a number. */
const sha = (digit: string) => `f${digit.repeat(63)}`;
const withKey = (name: string, digit: string, more = '') =>
  `consumers:\n  - name: ${name}\n    apiKeys: [{ sha256: ${sha(digit)} }]\n${more}`;
const SCRYPT = `scrypt$16384$8$1$c2FsdHNhbHQ$${'a'.repeat(43)}`;

describe('consumers', () => {
  it('of gateway.yaml and of every file of consumers.d are one set', () => {
    const result = load({
      'gateway.yaml': withKey('a', '1'),
      'consumers.d/b.yaml': withKey('b', '2'),
      'consumers.d/c.yaml': withKey('c', '3'),
    });
    expect(told(result)).toEqual([]);
    expect(names(result)).toEqual(['a', 'b', 'c']);
    expect(result.config?.consumers[1]).toEqual({
      name: 'b',
      groups: [],
      metadata: {},
      apiKeys: [{ sha256: sha('2') }],
      basic: [],
      jwt: [],
      certificates: [],
      signatureKeys: [],
    });
  });

  it('make another revision, and the same again when they are as before', () => {
    const [one, other, again] = ['1', '2', '1'].map((digit) => load({ 'consumers.d/a.yaml': withKey('a', digit) }));
    expect(one!.config?.revision).toBe(again!.config?.revision);
    expect(one!.config?.revision).not.toBe(other!.config?.revision);
  });

  it('that came, went and changed are told', () => {
    const before = load({ 'consumers.d/a.yaml': withKey('a', '1'), 'consumers.d/b.yaml': withKey('b', '2') }).config!;
    const after = load({ 'consumers.d/a.yaml': withKey('a', '3'), 'consumers.d/c.yaml': withKey('c', '4') }).config!;
    expect(diff(before, after).map(({ kind, name, change, paths }) => [kind, name, change, ...paths])).toEqual([
      ['consumer', 'a', 'changed', 'apiKeys'],
      ['consumer', 'c', 'added'],
      ['consumer', 'b', 'removed'],
    ]);
  });
});

describe('what is wrong is named with its place', () => {
  it.each<[string, Texts, string[]]>([
    [
      'an unknown key',
      { 'consumers.d/a.yaml': 'consumers:\n  - name: a\n    apikeys: []\n' },
      ["consumers.d/a.yaml:3:5: error: unknown key 'apikeys' — did you mean 'apiKeys'?"],
    ],
    [
      'no hash',
      { 'consumers.d/a.yaml': 'consumers: [{ name: a, apiKeys: [{ sha256: secret }] }]\n' },
      [
        'consumers.d/a.yaml:1:44: error: expected a SHA-256 in hex such as 2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b, got text',
      ],
    ],
    [
      'a password that is no hash, and is not repeated',
      { 'consumers.d/a.yaml': 'consumers: [{ name: a, basic: [{ username: u, password: hunter2hunter2 }] }]\n' },
      ['consumers.d/a.yaml:1:57: error: expected a scrypt hash such as scrypt$16384$8$1$c2FsdA$aGFzaA, got text'],
    ],
    [
      'a password of digits, which is not repeated either',
      { 'consumers.d/a.yaml': 'consumers: [{ name: a, basic: [{ username: u, password: 12345678 }] }]\n' },
      ['consumers.d/a.yaml:1:57: error: expected a scrypt hash such as scrypt$16384$8$1$c2FsdA$aGFzaA, got a number'],
    ],
    [
      'two of one name',
      { 'consumers.d/a.yaml': withKey('a', '1'), 'consumers.d/b.yaml': withKey('a', '2') },
      ["consumers.d/b.yaml:2:11: error: consumer 'a' is defined twice: first at consumers.d/a.yaml:2:11"],
    ],
    [
      'one key of two',
      { 'gateway.yaml': withKey('a', '1'), 'consumers.d/b.yaml': withKey('b', '1') },
      ['consumers.d/b.yaml:3:25: error: one key has two owners: first at gateway.yaml:3:25'],
    ],
    [
      'one username of two, in two spellings',
      {
        'consumers.d/a.yaml': `consumers:\n  - name: a\n    basic:\n      - { username: "zo\\u00eb", password: ${SCRYPT} }\n      - { username: "zoe\\u0308", password: ${SCRYPT} }\n`,
      },
      ["consumers.d/a.yaml:5:21: error: username 'zoe\u0308' has two owners: first at consumers.d/a.yaml:4:21"],
    ],
    [
      'one signature key of two',
      {
        'consumers.d/a.yaml': ['a', 'b']
          .map(
            (name) =>
              `- { name: ${name}, signatureKeys: [{ id: k, algorithm: hmac-sha256, secret: ${'s'.repeat(32)} }] }\n`,
          )
          .reduce((text, line) => text + line, 'consumers:\n'),
      },
      ["consumers.d/a.yaml:3:36: error: signature key 'k' has two owners: first at consumers.d/a.yaml:2:36"],
    ],
    [
      'two keys of one id',
      {
        'consumers.d/a.yaml': `consumers:\n  - name: a\n    apiKeys:\n      - { id: k, sha256: ${sha('1')} }\n      - { id: k, sha256: ${sha('2')} }\n`,
      },
      ["consumers.d/a.yaml:5:15: error: two keys of consumer 'a' have the id 'k'"],
    ],
    [
      'a hash that would cost too much',
      {
        'consumers.d/a.yaml': `consumers:\n  - name: a\n    basic:\n      - username: u\n        password: ${SCRYPT.replace('16384', '4194304')}\n`,
      },
      [
        "consumers.d/a.yaml:5:19: error: the password of 'u' costs too much for each guess: at most 64 MiB (128 × N × r), and p 8",
      ],
    ],
    ...['2027-02-31', '2027-13-01', '2027-01-31T25:00Z'].map((expires): [string, Texts, string[]] => [
      `a key that expires on ${expires}`,
      {
        'consumers.d/a.yaml': `consumers:\n  - name: a\n    apiKeys:\n      - { sha256: ${sha('1')}, expires: ${expires} }\n`,
      },
      ['consumers.d/a.yaml:4:94: error: no calendar has this day'],
    ]),
    [
      'a username that nobody can send',
      {
        'consumers.d/a.yaml': `consumers:\n  - name: a\n    basic:\n      - username: "u:v"\n        password: ${SCRYPT}\n`,
      },
      ['consumers.d/a.yaml:4:19: error: a username has neither colons nor control characters'],
    ],
    [
      'conditions that everybody fulfils',
      { 'consumers.d/a.yaml': 'consumers:\n  - name: a\n    jwt:\n      - claims: {}\n    certificates: [{}]\n' },
      [
        "consumers.d/a.yaml:4:9: error: consumer 'a' would be everybody who has a valid one — give it an issuer, a subject or claims",
        "consumers.d/a.yaml:5:20: error: consumer 'a' would be everybody who has a valid one — give it a subject, a san or a fingerprint",
      ],
    ],
    [
      'a group with a route that is not there',
      { 'gateway.yaml': 'groups:\n  partners:\n    routes: [order]\n' },
      ["gateway.yaml:3:14: error: no route is named 'order' — did you mean 'orders'?"],
    ],
  ])('%s', (_, files, says) => {
    const result = load(files);
    expect(told(result)).toEqual(says);
    expect(result.config).toBeUndefined();
  });

  it.each<[string, Texts, string]>([
    [
      'nothing to prove it by',
      { 'consumers.d/a.yaml': 'consumers:\n  - name: mobile\n' },
      "consumers.d/a.yaml:2:11: warning: consumer 'mobile' has no credential: nobody can be it — aya consumer key mobile makes a key",
    ],
    [
      'a hash that is guessed fast',
      {
        'consumers.d/a.yaml': `consumers:\n  - name: a\n    basic:\n      - username: u\n        password: ${SCRYPT.replace('16384', '1024')}\n`,
      },
      "consumers.d/a.yaml:5:19: warning: the password of 'u' is hashed with N 1024, which is guessed too fast — N 16384 is the least: set it anew with aya consumer password",
    ],
    [
      'a group that is not among those',
      {
        'gateway.yaml': 'groups: { partners: {} }\n',
        'consumers.d/a.yaml': withKey('a', '1', '    groups: [partner]\n'),
      },
      "consumers.d/a.yaml:4:14: warning: no group is named 'partner' — did you mean 'partners'?",
    ],
  ])('%s is a warning', (_, files, says) => {
    const result = load(files);
    expect(told(result)).toEqual([says]);
    expect(result.config).toBeDefined();
  });

  it('groups are free words where none is defined', () => {
    expect(told(load({ 'consumers.d/a.yaml': withKey('a', '1', '    groups: [anything]\n') }))).toEqual([]);
  });

  it('and nothing of a secret is told', () => {
    const text = `consumers: [{ name: a, basic: [{ username: u, password: scrypt$16383$8$1$c2FsdHNhbHQ$${'b'.repeat(43)} }] }]`;
    expect(told(load({ 'consumers.d/a.yaml': text })).join()).not.toContain('bbbb');
  });
});

describe('on a reload', () => {
  const FILES = { 'consumers.d/a.yaml': withKey('a', '1'), 'consumers.d/b.yaml': withKey('b', '2') };

  it.each([
    ['that is no YAML', 'consumers: ['],
    ['with a typo', 'consumers: [{ nme: a }]'],
    ['that takes the key of another', withKey('b', '1')],
  ])('a file %s serves on as it was, beside what is new', (_, broken) => {
    const { files } = load(FILES);
    const next = { ...FILES, 'consumers.d/b.yaml': broken, 'consumers.d/c.yaml': withKey('c', '3') };
    const result = load(next, files);
    expect(names(result)).toEqual(['a', 'b', 'c']);
    expect(stateOf(result, 'consumers.d/b.yaml')).toBe('stale');
    expect(stateOf(result, 'consumers.d/c.yaml')).toBe('ok');
    const mended = load({ ...next, 'consumers.d/b.yaml': withKey('b', '4') }, result.files);
    expect(stateOf(mended, 'consumers.d/b.yaml')).toBe('ok');
    expect(mended.config?.consumers[1]?.apiKeys).toEqual([{ sha256: sha('4') }]);
  });

  it('a file that is gone takes its consumers with it', () => {
    const { 'consumers.d/b.yaml': _, ...rest } = FILES;
    expect(names(load(rest, load(FILES).files))).toEqual(['a']);
  });

  it('a file that is as it was is not read again', () => {
    const before = load(FILES);
    const after = load({ ...FILES, 'consumers.d/b.yaml': withKey('b', '4') }, before.files);
    const documents = [before, after].map(({ files }) => files.map(({ path, document }) => [path, document] as const));
    const same = documents[1]!.filter(([path, document]) => new Map(documents[0]).get(path) === document);
    expect(same.map(([path]) => path)).toEqual(['consumers.d/a.yaml']);
  });

  it('its warnings are told again nevertheless', () => {
    const files = { 'consumers.d/a.yaml': 'consumers: [{ name: a }]' };
    expect(told(load(files, load(files).files))).toHaveLength(1);
  });
});
