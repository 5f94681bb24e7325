/** `aya` as people and process managers use it: exit codes, streams, signals. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { aya, configDirectory, FREE_PORTS, ready, spawnAya, type Command } from '../support/command.ts';
import { RawConnection, request } from '../support/raw-client.ts';
import { until, within } from '../support/until.ts';
import { byPath, hang, slow, startUpstream, type Upstream } from '../support/upstream.ts';

describe('the command line', () => {
  it('prints help and version on standard output, for people who ask', async () => {
    const [help, version] = await Promise.all([aya('--help'), aya('--version')]);
    expect(help).toMatchObject({ exitCode: 0, err: '' });
    for (const command of ['start', 'check', 'plan', 'routes', 'explain', 'demo']) {
      expect(help.out).toMatch(new RegExp(`^  ${command} `, 'm'));
    }
    expect(help.out).not.toContain('demo-service');
    expect(version).toMatchObject({ exitCode: 0, out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/), err: '' });
  });

  it('answers a mistyped command or option with what was meant, on standard error and with 2', async () => {
    const [command, option] = await Promise.all([aya('strat'), aya('check', '--stric')]);
    expect(command).toMatchObject({ exitCode: 2, out: '', err: expect.stringContaining('Did you mean start?') });
    expect(option).toMatchObject({ exitCode: 2, out: '', err: expect.stringContaining('Did you mean --strict?') });
  });

  it('says what failed in words, not in a stack, and exits with 1', async () => {
    const dir = await configDirectory({ 'gateway.yaml': FREE_PORTS });
    const { exitCode, out, err } = await aya('plan', dir);
    expect({ exitCode, out }).toEqual({ exitCode: 1, out: '' });
    expect(err).toMatch(/^aya: admin\.port is 0.*--admin\n$/);
  });

  it('ends quietly when the reader of its output has had enough', async () => {
    const command = spawnAya(['--help']);
    command.child.stdout!.destroy();
    expect(await command.ended).toMatchObject({ exitCode: 0, err: '' });
  });
});

describe('aya start', () => {
  it('refuses a wrong configuration with all that is wrong in it, and starts nothing', async () => {
    const dir = await configDirectory({
      'gateway.yaml': FREE_PORTS,
      'routes.d/a.yaml': 'routes:\n  - { name: a, pool: nowhere }\n',
      'routes.d/b.yaml': 'routes:\n  - { name: b, pol: b }\n',
    });
    const { exitCode, out, err } = await aya('start', dir);
    expect({ exitCode, out }).toEqual({ exitCode: 1, out: '' });
    expect(err).toContain(`${join(dir, 'routes.d/a.yaml')}:2:`);
    expect(err).toContain(`${join(dir, 'routes.d/b.yaml')}:2:`);
    expect(err).not.toContain('    at ');
  });

  it('that may open few files refuses clients before it runs out of them, and serves those it has', async () => {
    const upstream = await startUpstream('one');
    const dir = await configDirectory({
      'gateway.yaml': { ...FREE_PORTS, accessLog: { enabled: false } },
      'routes.d/a.yaml': { pools: { a: { endpoints: [upstream.url] } }, routes: [{ name: 'a', pool: 'a' }] },
    });
    const { url } = await ready(spawnAya(['start', dir], { openFiles: 128 }));
    const port = Number(new URL(url).port);
    const connections = await Promise.all(Array.from({ length: 128 }, () => RawConnection.open(port)));
    const refused = () => connections.filter(({ received }) => received.includes('open files of the process'));
    await until(() => refused().length > 10, 'refusals');
    const served = connections.find((connection) => !refused().includes(connection))!;
    served.send(request('GET', '/x', 'any.test'));
    expect((await served.answer()).status).toBe(200);
    for (const connection of connections) connection.close();
    await until(async () => (await fetch(url).catch(() => undefined))?.status === 200, 'room again');
  });

  it('says with one line that it cannot have its port', async () => {
    const { command } = await startGateway();
    const { url } = await ready(command);
    const listen = [{ host: '127.0.0.1', port: Number(new URL(url).port) }];
    const dir = await configDirectory({ 'gateway.yaml': { ...FREE_PORTS, listen } });
    const second = await aya('start', dir);
    expect(second).toMatchObject({ exitCode: 1, err: expect.stringMatching(/^aya: .*EADDRINUSE.*\n$/) });
  });

  it('reloads on SIGHUP: the next request takes the edited route', async () => {
    const { dir, upstream, command } = await startGateway();
    const { url } = await ready(command);
    expect((await fetch(`${url}/orders`)).status).toBe(200);
    expect((await fetch(`${url}/returns`)).status).toBe(404);
    await writeFile(join(dir, 'routes.d/orders.yaml'), JSON.stringify(routes(upstream, '/returns')));
    command.signal('SIGHUP');
    await until(() => command.log.some(({ event }) => event === 'reloaded'), 'the reload');
    expect((await fetch(`${url}/orders`)).status).toBe(404);
    expect((await fetch(`${url}/returns`)).status).toBe(200);
  });

  it('finishes on SIGTERM what it has begun, then exits with 0', async () => {
    const { upstream, command } = await startGateway();
    const { url } = await ready(command);
    const answer = fetch(`${url}/orders/slow`);
    await until(() => upstream.requests === 1, 'the request to arrive');
    command.signal('SIGTERM');
    expect((await answer).status).toBe(200);
    const { exitCode, err } = await within(command.ended, 'the end');
    expect({ exitCode, err }).toEqual({ exitCode: 0, err: '' });
    expect(command.log.at(-1)).toMatchObject({ event: 'stopped', cut: 0 });
  });

  it('ends at once on a second signal, with 1', async () => {
    const { upstream, command } = await startGateway();
    const { url } = await ready(command);
    const answer = fetch(`${url}/orders/hang`).catch((error: Error) => error);
    await until(() => upstream.requests === 1, 'the request to arrive');
    command.signal('SIGINT');
    await until(() => command.log.some(({ event }) => event === 'draining'), 'the drain to begin');
    command.signal('SIGINT');
    expect(await within(command.ended, 'the end')).toMatchObject({ exitCode: 1 });
    expect(await answer).toBeInstanceOf(Error);
  });
});

function routes(upstream: Upstream, path: string) {
  return {
    pools: { orders: { endpoints: [upstream.url] } },
    routes: [{ name: 'orders', match: { path: `${path}/*` }, pool: 'orders' }],
  };
}

async function startGateway(): Promise<{ dir: string; upstream: Upstream; command: Command }> {
  const upstream = await startUpstream('orders', byPath({ slow: slow(300), hang }));
  const dir = await configDirectory({
    'gateway.yaml': FREE_PORTS,
    'routes.d/orders.yaml': routes(upstream, '/orders'),
  });
  return { dir, upstream, command: spawnAya(['start', dir]) };
}
