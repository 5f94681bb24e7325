import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { configDirectory } from '../../test/support/command.ts';
import { hasRedis, redisServer } from '../../test/support/redis.ts';
import { load } from '../config/load.ts';
import { hashApiKey, isWellFormed } from '../credentials/api-key.ts';
import { parsePasswordHash, verifyPassword, type PasswordHash } from '../credentials/password-hash.ts';
import { addConsumer, listConsumers, makeKey, revoke, setPassword } from './consumer.ts';

const ROUTES = { 'routes.d/a.yaml': { routes: [{ name: 'a', redirect: { to: 'https://example.com/' } }] } };
const directory = (files: Readonly<Record<string, string | object>> = {}) => configDirectory({ ...ROUTES, ...files });
const given = (password: string) => async () => password;
const textOf = (dir: string, name: string) => readFile(join(dir, 'consumers.d', `${name}.yaml`), 'utf8');

async function consumersOf(dir: string) {
  const { config, problems } = await load(dir);
  expect(problems.filter(({ severity }) => severity === 'error')).toEqual([]);
  return config!.consumers;
}

const is = (password: string, written: string) =>
  new Promise<boolean>((resolve) => verifyPassword(password, parsePasswordHash(written) as PasswordHash, resolve));

describe('aya consumer', () => {
  it('makes a consumer with a key that is shown once and kept as a hash, where its group may read it', async () => {
    const dir = await directory();
    await addConsumer('mobile', { dir, group: ['partners', 'eu'] });
    const { out: key = '', err } = await makeKey('mobile', { dir, id: 'spring', expires: '90d' });
    expect(isWellFormed(key)).toBe(true);
    expect(err).not.toContain(key);
    const [consumer] = await consumersOf(dir);
    expect(consumer).toMatchObject({
      name: 'mobile',
      groups: ['partners', 'eu'],
      apiKeys: [{ id: 'spring', sha256: hashApiKey(key), expires: expect.any(Number) }],
    });
    expect(await textOf(dir, 'mobile')).not.toContain(key);
    const { mode } = await stat(join(dir, 'consumers.d/mobile.yaml'));
    expect((mode & 0o777).toString(8)).toBe('640');
    expect(await readdir(join(dir, 'consumers.d'))).toEqual(['mobile.yaml']);
  });

  it('sets a password, and replaces it', async () => {
    const dir = await directory();
    await addConsumer('mobile', { dir });
    await setPassword('mobile', 'ann', { dir }, given('open sesame'));
    await setPassword('mobile', 'ann', { dir }, given('another one'));
    const [{ basic } = { basic: [] }] = await consumersOf(dir);
    expect(basic.map(({ username }) => username)).toEqual(['ann']);
    expect(await is('another one', basic[0]!.password)).toBe(true);
  });

  it('keeps comments, order and the mode of a file that somebody wrote', async () => {
    const text = `# Partners, see the wiki.
consumers:
  - name: a # the first
    apiKeys:
      - { id: old, sha256: ${'f'.repeat(64)} } # until spring
  - name: b
    groups:
      - eu
`;
    const dir = await directory();
    await mkdir(join(dir, 'consumers.d'));
    await writeFile(join(dir, 'consumers.d/partners.yaml'), text, { mode: 0o600 });
    const { out: key = '' } = await makeKey('b', { dir, id: 'k' });
    expect(await textOf(dir, 'partners')).toBe(
      `${text}    apiKeys:\n      - id: k\n        sha256: ${hashApiKey(key)}\n`,
    );
    await revoke('b', 'k', { dir });
    expect(await textOf(dir, 'partners')).toBe(`${text}    apiKeys: []\n`);
    expect((await stat(join(dir, 'consumers.d/partners.yaml'))).mode & 0o777).toBe(0o600);
  });

  it('finds consumers in gateway.yaml too', async () => {
    const dir = await directory({ 'gateway.yaml': 'threads: 1 # one\nconsumers:\n  - name: a\n' });
    await makeKey('a', { dir, id: 'k' });
    expect(await readFile(join(dir, 'gateway.yaml'), 'utf8')).toMatch(
      /^threads: 1 # one\nconsumers:\n {2}- name: a\n {4}apiKeys:/,
    );
  });

  it('takes one key away, or the consumer with everything', async () => {
    const dir = await directory();
    await addConsumer('mobile', { dir });
    await makeKey('mobile', { dir, id: 'old' });
    const { out: key = '' } = await makeKey('mobile', { dir });
    await revoke('mobile', 'old', { dir });
    expect((await consumersOf(dir))[0]?.apiKeys).toMatchObject([{ sha256: hashApiKey(key) }]);
    await revoke('mobile', hashApiKey(key).slice(0, 12), { dir });
    expect((await consumersOf(dir))[0]?.apiKeys).toEqual([]);
    await revoke('mobile', undefined, { dir });
    expect(await consumersOf(dir)).toEqual([]);
    expect(await readdir(join(dir, 'consumers.d'))).toEqual([]);
  });

  it('lists who there is, and no hash', async () => {
    const dir = await directory();
    await addConsumer('mobile', { dir, group: ['eu'] });
    await makeKey('mobile', { dir, id: 'spring', expires: '2999-01-01' });
    const { out = '' } = await listConsumers({ dir });
    expect(out).toMatch(/mobile +eu +1 key +spring until 2999-01-01T00:00:00Z/);
    const data = (await listConsumers({ dir, json: true })).out!;
    expect(JSON.parse(data)).toMatchObject([
      { name: 'mobile', apiKeys: [{ id: 'spring', expires: '2999-01-01T00:00:00Z' }], usernames: [] },
    ]);
    expect(out + data).not.toMatch(/[0-9a-f]{64}/);
  });
});

describe('what cannot be done is said, and nothing is written', () => {
  it.each<[string, (dir: string) => Promise<unknown>, RegExp]>([
    ['a name that is none', (dir) => addConsumer('../a', { dir }), /'..\/a' is no name/],
    ['a group that is none', (dir) => addConsumer('b', { dir, group: ['a,b'] }), /'a,b' is no name/],
    ['one that is there', (dir) => addConsumer('ann', { dir }), /is there already: .*consumers\.d\/ann\.yaml/],
    ['one that is not', (dir) => makeKey('an', { dir }), /no consumer is named 'an': did you mean 'ann'\?/],
    ['an id twice', (dir) => makeKey('ann', { dir, id: 'k' }), /has a key 'k' already/],
    ['no time', (dir) => makeKey('ann', { dir, expires: 'soon' }), /'soon' is no time: write 90d, 12h or 2027-01-31/],
    ['a time that is over', (dir) => makeKey('ann', { dir, expires: '2020-01-01' }), /is over already/],
    ['a short password', (dir) => setPassword('ann', 'u', { dir }, given('short')), /at least 8 characters/],
    ['a password with a line end', (dir) => setPassword('ann', 'u', { dir }, given('one line\ntwo')), /control/],
    ['a username with a colon', (dir) => setPassword('ann', 'u:v', { dir }, given('long enough')), /neither colons/],
    ['a username of another', (dir) => setPassword('ann', 'bob', { dir }, given('long enough')), /has two owners/],
    ['a key that is not there', (dir) => revoke('ann', 'x', { dir }), /has no key 'x': it has k/],
    ['no store', (dir) => addConsumer('c', { dir, store: true }), /names no store/],
  ])('%s', async (_, act, says) => {
    const hash = `scrypt$16384$8$1$c2FsdHNhbHQ$${'a'.repeat(43)}`;
    const dir = await directory({
      'consumers.d/ann.yaml': { consumers: [{ name: 'ann', apiKeys: [{ id: 'k', sha256: 'f'.repeat(64) }] }] },
      'consumers.d/bob.yaml': { consumers: [{ name: 'bob', basic: [{ username: 'bob', password: hash }] }] },
    });
    const before = await Promise.all([textOf(dir, 'ann'), textOf(dir, 'bob')]);
    await expect(act(dir)).rejects.toThrow(says);
    expect(await Promise.all([textOf(dir, 'ann'), textOf(dir, 'bob')])).toEqual(before);
    expect(await readdir(join(dir, 'consumers.d'))).toEqual(['ann.yaml', 'bob.yaml']);
  });

  it('the wrong directory', async () => {
    await expect(addConsumer('a', { dir: await configDirectory({}) })).rejects.toThrow(/is this the right directory/);
  });

  it('a file that is broken already', async () => {
    const dir = await directory({ 'consumers.d/a.yaml': 'consumers: [' });
    await expect(addConsumer('b', { dir })).rejects.toThrow(/a\.yaml is no valid YAML/);
  });
});

describe.skipIf(!hasRedis)('with --store', () => {
  it('everything is in the store, for every gateway that shares it', async () => {
    const redis = await redisServer();
    const dir = await directory({ 'gateway.yaml': { store: redis.url } });
    const options = { dir, store: true };
    await addConsumer('mobile', { ...options, group: ['eu'] });
    const { out: key = '' } = await makeKey('mobile', { ...options, id: 'k' });
    expect(await redis.command('HGET', 'aya:consumers', 'mobile')).toContain(hashApiKey(key));
    expect((await listConsumers(options)).out).toMatch(/mobile +eu +1 key +k +aya:consumers in 127\.0\.0\.1:\d+/);
    await expect(addConsumer('mobile', options)).rejects.toThrow(/is there already/);
    await revoke('mobile', 'k', options);
    expect(await redis.command('HGET', 'aya:consumers', 'mobile')).toContain('"apiKeys":[]');
    await revoke('mobile', undefined, options);
    expect(await redis.command('HLEN', 'aya:consumers')).toBe(':0\r\n');
    await redis.kill();
    await expect(listConsumers(options)).rejects.toThrow(/the store at 127\.0\.0\.1:\d+ is away/);
  });
});

it('the commands of the README do what it says', async () => {
  const root = join(import.meta.dirname, '../..');
  const readme = await readFile(join(root, 'README.md'), 'utf8');
  const [, section = ''] = /^## Who may call\n([\s\S]*?)^## /m.exec(readme) ?? [];
  const [, commands = ''] = /```sh\n([\s\S]*?)```/.exec(section) ?? [];
  expect(commands.match(/aya consumer/g)?.length).toBeGreaterThan(4);
  const dir = await directory();
  const script = `set -e\naya() { "${process.execPath}" "${join(root, 'src/main.ts')}" "$@"; }\n${commands}`;
  const { FORCE_COLOR: _, ...env } = process.env;
  const shell = spawn('/bin/sh', ['-c', script], { cwd: dir, env, stdio: ['ignore', 'pipe', 'inherit'] });
  let out = '';
  shell.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  expect(await once(shell, 'close')).toEqual([0, null]);
  expect(out).toMatch(/^aya_spring_\w{30}_\w{6}$/m);
  expect(out).toMatch(/mobile +partners +1 key, 1 password +spring until/);
  expect(await consumersOf(dir)).toMatchObject([{ name: 'mobile', apiKeys: [], basic: [{ username: 'ann' }] }]);
});
