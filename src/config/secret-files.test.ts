/** Values from files: which may be read, what is made of them, and that they show nowhere. */
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { cleanup } from '../../test/support/cleanup.ts';
import { gatewayFixture } from '../../test/support/gateway.ts';
import { startUpstream, type Echo } from '../../test/support/upstream.ts';
import { until } from '../../test/support/until.ts';
import { load } from './load.ts';
import { formatProblem } from './problem.ts';
import { redact } from './redact.ts';

let root: string;
let dir: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'aya-secrets-'));
  cleanup(() => rm(root, { recursive: true, force: true }));
  dir = join(root, 'config');
  await mkdir(join(dir, 'secrets'), { recursive: true });
  await mkdir(join(root, 'mounted'));
});

async function loaded(token: string, env: Record<string, string> = {}) {
  await writeFile(join(dir, 'gateway.yaml'), `admin:\n  token: ${token}\n`);
  const { config, problems, secrets, files } = await load(dir, { env });
  return { config, text: problems.map(formatProblem).join('\n'), secrets, files };
}

describe('a value from a file', () => {
  it('is what the file holds, without its line end', async () => {
    await writeFile(join(dir, 'secrets/admin'), 'a-token-of-some-length\n');
    const { config, secrets, files } = await loaded('${file:secrets/admin}');
    expect(config?.gateway.admin.token).toBe('a-token-of-some-length');
    expect(secrets).toEqual(['a-token-of-some-length']);
    expect([...files.flatMap(({ attached }) => [...attached.keys()])]).toEqual([join(dir, 'secrets/admin')]);
  });

  it('is text, also when it looks like a number', async () => {
    await writeFile(join(dir, 'secrets/admin'), '12345678901234567890');
    expect((await loaded('${file:secrets/admin}')).config?.gateway.admin.token).toBe('12345678901234567890');
  });

  it('may be part of a text, and stand beside a variable', async () => {
    await writeFile(join(dir, 'secrets/admin'), 'from-the-file');
    const { config } = await loaded('"${USER_PART}-${file:secrets/admin}"', { USER_PART: 'from-env' });
    expect(config?.gateway.admin.token).toBe('from-env-from-the-file');
  });

  it('may lie where the environment says', async () => {
    await writeFile(join(root, 'mounted/admin'), 'a-token-of-some-length');
    const token = `\${file:${join(root, 'mounted/admin')}}`;
    expect((await loaded(token)).text).toMatch(/gateway\.yaml:2:10: .*not in a directory for secrets/);
    const { config } = await loaded(token, { AYA_SECRETS_PATH: join(root, 'mounted') });
    expect(config?.gateway.admin.token).toBe('a-token-of-some-length');
  });

  it.each([
    ['/etc/passwd', /not in a directory for secrets/],
    ['../mounted/admin', /not in a directory for secrets/],
    ['secrets/../../mounted/admin', /not in a directory for secrets/],
    ['secrets/link', /not in a directory for secrets/],
    ['secrets/none', /cannot be read: ENOENT/],
    ['secrets', /cannot be read: EISDIR/],
    ['', /not in a directory for secrets/],
    ['secrets/binary', /is not UTF-8/],
    ['secrets/nul', /is not text/],
    ['secrets/large', /larger than 64 KiB/],
  ])('is refused: %s', async (name, message) => {
    await writeFile(join(root, 'mounted/admin'), 'a-token-of-some-length');
    await symlink(join(root, 'mounted/admin'), join(dir, 'secrets/link'));
    await writeFile(join(dir, 'secrets/binary'), Buffer.from([0xff, 0xfe, 0x80]));
    await writeFile(join(dir, 'secrets/nul'), 'a\0b');
    await writeFile(join(dir, 'secrets/large'), 'x'.repeat(70_000));
    const { config, text } = await loaded(`\${file:${name}}`);
    expect(config).toBeUndefined();
    expect(text).toMatch(message);
  });

  it('is not shown, where it stands nor in what is said about it', async () => {
    await writeFile(join(dir, 'secrets/admin'), 'short');
    const { text } = await loaded('${file:secrets/admin}');
    expect(text).toMatch(/expected at least 16 characters/);
    expect(text).not.toContain('short');
    await writeFile(join(dir, 'secrets/admin'), 'a-token-of-some-length');
    const { config, secrets } = await loaded('${file:secrets/admin}');
    expect(JSON.stringify(redact(config!, secrets))).not.toContain('a-token-of-some-length');
  });
});

describe('a secret that is rotated', () => {
  it('is read anew when its file changes, and the old one serves on while it is away', async () => {
    const { url } = await startUpstream('orders');
    const gateway = await gatewayFixture({
      files: {
        '../secrets/key': 'first-canary-value\n',
        'orders.yaml': {
          pools: { orders: { endpoints: [url] } },
          routes: [
            {
              name: 'orders',
              pool: 'orders',
              headers: { request: { set: { 'x-upstream-key': '${file:secrets/key}' } } },
            },
          ],
        },
      },
    });
    const keySent = async () => {
      const { fields } = (await (await fetch(gateway.url)).json()) as Echo;
      return fields[fields.findIndex((name) => name.toLowerCase() === 'x-upstream-key') + 1];
    };
    expect(await keySent()).toBe('first-canary-value');
    await gateway.write('../secrets/key', 'second-canary-value\n');
    await until(async () => (await keySent()) === 'second-canary-value', 'the new key is sent');
    await gateway.remove('../secrets/key');
    await gateway.reload();
    expect(await keySent()).toBe('second-canary-value');

    const shown = [(await gateway.admin('/config')).body, (await gateway.admin('/metrics')).body];
    expect(`${shown.join('')}${JSON.stringify(gateway.logs)}`).not.toMatch(/canary/);
  });
});
