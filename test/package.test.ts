/** What `npm publish` would send out: whether it is whole, and runs away from the repository, on its own. */
import { execFileSync, spawnSync, type ExecFileSyncOptions } from 'node:child_process';
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { configDirectory, FREE_PORTS, ready, spawnAya } from './support/command.ts';
import { within } from './support/until.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** Where the package was unpacked. */
let root: string;
let main: string;

beforeAll(async () => {
  const dir = await configDirectory({});
  const quiet: ExecFileSyncOptions = { cwd: ROOT, stdio: 'pipe' };
  execFileSync(process.execPath, ['scripts/build.ts'], quiet);
  // Without prepack, which would judge the types once more.
  execFileSync('npm', ['pack', '--ignore-scripts', '--pack-destination', dir], quiet);
  const [tarball] = readdirSync(dir);
  execFileSync('tar', ['-xzf', tarball!], { cwd: dir });
  root = join(dir, 'package');
  main = join(root, 'dist/src/main.js');
  // What an installation would fetch, without the network.
  symlinkSync(join(ROOT, 'node_modules'), join(root, 'node_modules'));
});

async function aya(...args: readonly string[]) {
  return within(spawnAya(args, { main, cwd: root }).ended, `the end of aya ${args.join(' ')}`, 30_000);
}

describe('the package', () => {
  it('runs without its sources', async () => {
    expect(readdirSync(root)).not.toContain('src');
    expect(await aya('--help')).toMatchObject({ exitCode: 0, out: expect.stringContaining('explain'), err: '' });
  });

  it('has the example, whose routes its plugins understand', async () => {
    expect(await aya('check', '--strict')).toMatchObject({
      exitCode: 0,
      out: expect.stringMatching(/^ok: \d+ routes/),
    });
    expect((await aya('routes')).out).toContain('orders');
  });

  it('has the plugins and their types, and no tests', () => {
    const files = readdirSync(join(root, 'dist'), { recursive: true }).map(String);
    const plugins = readdirSync(join(ROOT, 'plugins'), { withFileTypes: true }).filter((entry) => entry.isDirectory());
    for (const { name } of plugins) {
      expect(files).toEqual(expect.arrayContaining([`plugins/${name}/index.js`, `plugins/${name}/index.d.ts`]));
    }
    expect(files.filter((file) => file.includes('.test.'))).toEqual([]);
  });

  it('serves, with data threads of its own, and ends when told', async () => {
    const answer = { redirect: { to: 'https://example.com/' } };
    const dir = await configDirectory({
      'gateway.yaml': FREE_PORTS,
      'routes.d/a.yaml': { routes: [{ name: 'a', ...answer }] },
    });
    const command = spawnAya(['start', dir], { main });
    const { url } = await ready(command);
    const { status, headers } = await fetch(url, { redirect: 'manual' });
    expect([status, headers.get('location')]).toEqual([302, 'https://example.com/']);
    command.signal('SIGTERM');
    expect(await within(command.ended, 'the end')).toMatchObject({ exitCode: 0, err: '' });
  });

  it('gives programs its types: what is right compiles, what is wrong does not', () => {
    const program = join(root, 'program');
    mkdirSync(join(program, 'node_modules'), { recursive: true });
    symlinkSync(root, join(program, 'node_modules', 'aya-gateway'));
    writeFileSync(join(program, 'package.json'), '{ "type": "module" }');
    writeFileSync(
      join(program, 'main.mts'),
      `import { startGateway } from 'aya-gateway';
const gateway = await startGateway({ dir: '.' });
const ports: readonly number[] = gateway.ports;
const wrong: string = gateway.ports;
`,
    );
    const options = [
      '--noEmit',
      '--strict',
      '--module',
      'nodenext',
      '--target',
      'es2024',
      '--types',
      'node',
      '--skipLibCheck',
    ];
    const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
    const { stdout } = spawnSync(process.execPath, [tsc, ...options, 'main.mts'], { cwd: program, encoding: 'utf8' });
    expect(stdout.trim().split('\n')).toEqual([expect.stringMatching(/^main\.mts\(4,7\): error TS2322/)]);
  });
});
