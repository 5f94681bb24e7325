import { request as httpRequest, type OutgoingHttpHeaders } from 'node:http';
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { adminView, fill } from '../../../test/support/admin-view.ts';
import { cleanup } from '../../../test/support/cleanup.ts';
import type { Config } from '../../config/schema.ts';
import type { AdminView, ReloadResult } from '../view.ts';
import { startAdmin, type AdminOptions, type AdminServer } from './server.ts';

const TOKEN = 'a-long-enough-token';
const PROBLEM = 'application/problem+json; charset=utf-8';

interface Answer {
  readonly status: number;
  readonly type: string | undefined;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly text: string;
}

async function admin(view: AdminView = adminView(), options: Partial<AdminOptions> = {}) {
  const errors: string[] = [];
  const log = {
    info: () => {},
    warn: () => {},
    error: (_fields: object, message: string) => void errors.push(message),
  };
  const server = await startAdmin(view, { host: '127.0.0.1', port: 0, log, ...options });
  cleanup(() => server.close());
  const ask = (path: string, headers?: OutgoingHttpHeaders) => answer(server, 'GET', path, headers);
  const order = (path: string, headers?: OutgoingHttpHeaders, body?: string) =>
    answer(server, 'POST', path, headers, body);
  const read = async (path: string) => JSON.parse((await ask(path)).text) as Record<string, unknown>;
  return { server, errors, ask, order, read };
}

function answer(
  server: AdminServer,
  method: string,
  path: string,
  headers: OutgoingHttpHeaders = {},
  body = '',
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest(
      { host: '127.0.0.1', port: server.port, method, path, headers, agent: false },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        response.on('end', () =>
          resolve({
            status: response.statusCode!,
            type: response.headers['content-type'],
            headers: response.headers,
            text,
          }),
        );
      },
    );
    sent.on('error', reject).end(body);
  });
}

describe('readiness', () => {
  it('is given while the gateway serves', async () => {
    const { ask, read } = await admin();
    expect((await ask('/readyz')).status).toBe(200);
    expect(await read('/readyz')).toEqual({ status: 'ready' });
  });

  it.each(['starting', 'draining'] as const)(
    'is withheld while it is %s, which is no reason to be killed',
    async (status) => {
      const { ask } = await admin(adminView({ status }));
      const ready = await ask('/readyz');
      expect(ready.status).toBe(503);
      expect(JSON.parse(ready.text)).toMatchObject({ status, reason: expect.any(String) as string });
      expect((await ask('/livez')).status).toBe(200);
    },
  );

  it('follows the gateway', async () => {
    const view = { ...adminView(), status: 'ready' as AdminView['status'] };
    const { ask } = await admin(view);
    expect((await ask('/readyz')).status).toBe(200);
    view.status = 'draining';
    expect((await ask('/readyz')).status).toBe(503);
  });
});

describe('the pages', () => {
  it('shows each endpoint with its state, why, and since when', async () => {
    const { read } = await admin();
    const { pools } = (await read('/pools')) as { pools: { endpoints: object[] }[] };
    expect(pools[0]).toMatchObject({ name: 'users', available: 1, of: 2 });
    expect(pools[0]!.endpoints).toMatchObject([
      { url: 'http://127.0.0.1:7101', state: 'available', inFlight: 4, averageMs: 12.35 },
      {
        url: 'http://127.0.0.1:7102',
        state: 'unhealthy, ejected',
        reason: 'passive: 5 failures in a row, connection refused',
        since: '2026-01-01T12:00:00.000Z',
      },
    ]);
  });

  it('shows routes with what they carried', async () => {
    const view = adminView();
    fill(view.metricTable);
    const { read } = await admin(view);
    expect(await read('/routes')).toEqual({
      routes: [
        { name: 'users', source: 'users.yaml:9:5', requests: 10 },
        { name: 'orders', source: 'orders.yaml:9:5', requests: 10 },
      ],
    });
  });

  it('shows what serves and who serves it', async () => {
    const { read } = await admin(adminView({ staleFiles: ['routes.d/users.yaml'] }));
    expect(await read('/status')).toMatchObject({
      status: 'ready',
      version: expect.stringMatching(/^\d+\.\d+\.\d+/) as string,
      revision: 'c0ffee',
      staleFiles: ['routes.d/users.yaml'],
      threads: [
        { thread: 0, state: 'up' },
        { thread: 1, restarts: 2 },
      ],
    });
  });

  it('shows metrics as Prometheus reads them', async () => {
    const view = adminView();
    fill(view.metricTable);
    const metrics = await (await admin(view)).ask('/metrics');
    expect(metrics.type).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(metrics.text).toContain('aya_requests_total{route="users",code="200"} 2');
  });

  it('shows the configuration without its secrets', async () => {
    const config = { ...adminView().config } as Config;
    config.gateway = { ...config.gateway, admin: { host: '127.0.0.1', port: 9901, token: TOKEN } };
    config.dir = '/etc/hidden-by-the-environment';
    const { ask } = await admin(adminView({ config, secrets: ['hidden-by-the-environment'] }));
    const page = await ask('/config');
    expect(JSON.parse(page.text)).toMatchObject({ gateway: { admin: { port: 9901 } } });
    expect(page.text).not.toContain(TOKEN);
    expect(page.text).not.toContain('hidden-by-the-environment');
  });

  it('is readable in a terminal, and never cached', async () => {
    const page = await (await admin()).ask('/status');
    expect(page.text).toMatch(/^\{\n {2}"status": "ready",\n/);
    expect(page.text.endsWith('}\n')).toBe(true);
    expect(page.headers['cache-control']).toBe('no-store');
  });
});

describe('a reload', () => {
  const RESULT: ReloadResult = { ok: true, problems: [], changes: ["route 'users' was added"], revision: 'beef' };

  it('tells what changed', async () => {
    const { order } = await admin(adminView({ reload: () => Promise.resolve(RESULT) }));
    const told = await order('/reload');
    expect(told.status).toBe(200);
    expect(JSON.parse(told.text)).toEqual(RESULT);
  });

  it('tells every problem when something was refused', async () => {
    const problems = ["users.yaml:3:9: unknown key 'pol' (did you mean 'pool'?)"];
    const refused = { ok: false, problems, changes: [], revision: 'c0ffee' };
    const { order } = await admin(adminView({ reload: () => Promise.resolve(refused) }));
    const told = await order('/reload');
    expect(told).toMatchObject({ status: 422, type: PROBLEM });
    expect(JSON.parse(told.text)).toMatchObject({ status: 422, problems, revision: 'c0ffee' });
  });

  it('is not begun while the gateway shuts down', async () => {
    const reload = () => Promise.reject(new Error('must not be called'));
    const { order, errors } = await admin(adminView({ status: 'draining', reload }));
    expect((await order('/reload')).status).toBe(409);
    expect(errors).toEqual([]);
  });

  it('ignores a body, whatever its type', async () => {
    const { order } = await admin();
    for (const type of ['application/json', 'text/plain', 'application/x-www-form-urlencoded']) {
      expect((await order('/reload', { 'content-type': type }, '{')).status).toBe(200);
    }
  });

  it('cannot be ordered by a web page', async () => {
    let reloads = 0;
    const reload = () => Promise.resolve({ ...RESULT, revision: String(++reloads) });
    const { order } = await admin(adminView({ reload }));
    expect((await order('/reload', { origin: 'https://evil.example' })).status).toBe(403);
    expect(reloads).toBe(0);
  });
});

describe('the admin server', () => {
  it('does not start beyond loopback without a token', async () => {
    await expect(admin(adminView(), { host: '0.0.0.0' })).rejects.toThrow('admin.token is required');
  });

  it('asks for its token, and names the scheme', async () => {
    const { ask } = await admin(adminView(), { host: '0.0.0.0', token: TOKEN });
    const refused = await ask('/pools');
    expect(refused.status).toBe(401);
    expect(refused.headers['www-authenticate']).toBe('Bearer realm="aya admin"');
    expect((await ask('/pools', { authorization: `Bearer ${TOKEN}` })).status).toBe(200);
    expect((await ask('/readyz')).status).toBe(200);
    expect((await ask('/nothing')).status).toBe(401);
  });

  it('gives nothing to a page that has rebound its name to loopback', async () => {
    const { ask } = await admin();
    expect((await ask('/pools', { host: 'evil.example' })).status).toBe(421);
  });

  it('says what there is to who asks for something else', async () => {
    const told = await (await admin()).ask('/pool');
    expect(told).toMatchObject({ status: 404, type: PROBLEM });
    expect(told.text).toContain('/pools');
  });

  it('survives a bug in what it shows: the asker gets a 500 that tells nothing, the log tells', async () => {
    const pools = () => {
      throw new Error('secret detail');
    };
    const { ask, errors } = await admin(adminView({ pools }));
    for (const path of ['/pools', '/metrics']) {
      const failed = await ask(path);
      expect(failed).toMatchObject({ status: 500, type: PROBLEM });
      expect(failed.text).not.toContain('secret detail');
    }
    expect(errors).toHaveLength(2);
    expect((await ask('/livez')).status).toBe(200);
  });

  it('refuses a body larger than anything it needs', async () => {
    const { order } = await admin();
    expect((await order('/reload', {}, 'x'.repeat(65 * 1024))).status).toBe(413);
  });

  it('closes at once, whoever is still connected', async () => {
    const { server } = await admin();
    const idle = connect(server.port, '127.0.0.1');
    idle.on('error', () => {});
    const closed = new Promise((resolve) => idle.on('close', resolve));
    await new Promise((resolve) => idle.on('connect', resolve));
    idle.write('GET /livez HTTP/1.1\r\n');
    await server.close();
    await closed;
  });
});
