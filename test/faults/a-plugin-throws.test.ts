/** A bug in a plugin costs the request that met it, and no other. The data plane runs in this process, with one such plugin. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MessageChannel } from 'node:worker_threads';
import { beforeAll, expect, it, vi } from 'vitest';
import { startGateway } from '../../src/control/gateway.ts';
import type { ThreadLine } from '../../src/control/thread-line.ts';
import { createDataPlane } from '../../src/data/data-plane.ts';
import type { FromThread, ThreadData, ToThread } from '../../src/data/messages.ts';
import type * as Extension from '../../src/extension.ts';
import type { AnyPlugin, Concern } from '../../src/extension.ts';
import { cleanup } from '../support/cleanup.ts';
import { get } from '../conformance/http2-heads.ts';
import { Code, H2Connection } from '../support/h2-frames.ts';
import { ask, request } from '../support/raw-client.ts';
import { startUpstream } from '../support/upstream.ts';

vi.mock('../../src/extension.ts', async (original) => {
  const real = await original<typeof Extension>();
  const scanPlugins = async (): Promise<AnyPlugin[]> =>
    (await real.scanPlugins()).map((plugin) =>
      plugin.name === 'headers' ? { ...plugin, create: () => BUGGY } : plugin,
    );
  return { ...real, scanPlugins };
});

/** Throws where the request says. */
const BUGGY: Concern = {
  onRequest(exchange, _reply, done) {
    const where = exchange.header('x-throw');
    if (where === 'hook') throw new TypeError('canary-secret in a hook');
    if (where === 'hook, nothing') throw undefined;
    if (where === 'done') return done(new TypeError('canary-secret given to done'));
    if (where === 'edit') exchange.editResponse(fail);
    if (where === 'field') exchange.editResponse((fields) => fields.push('x-bad', 'x\r\nx-evil: x'));
    return done();
  },
  layer: (next) => (sent, handler) => {
    if (sent.exchange.header('x-throw') === 'layer') fail();
    next(sent, handler);
  },
  onAnswer(exchange) {
    if (exchange.header('x-throw') === 'answer') fail();
  },
  onEnd(exchange) {
    if (exchange.header('x-throw') === 'end') fail();
  },
};

function fail(): never {
  throw new TypeError('canary-secret in a plugin');
}

let port: number;
let metrics: () => Promise<string>;

beforeAll(async () => {
  const upstream = await startUpstream('upstream');
  const dir = await mkdtemp(join(tmpdir(), 'aya-throws-'));
  await mkdir(join(dir, 'routes.d'));
  const settings = {
    listen: [{ host: '127.0.0.1', port: 0 }],
    threads: 1,
    accessLog: { enabled: false },
    admin: { host: '127.0.0.1', port: 0 },
    drain: { delay: '0ms', timeout: '1s' },
  };
  const routes = {
    pools: { a: { endpoints: [upstream.url], health: { passive: false } } },
    routes: [{ name: 'a', pool: 'a', headers: { request: { set: { 'x-a': '1' } } } }],
  };
  await writeFile(join(dir, 'gateway.yaml'), JSON.stringify(settings));
  await writeFile(join(dir, 'routes.d', 'a.yaml'), JSON.stringify(routes));
  const gateway = await startGateway({ dir, log: () => {}, spawn: inThisProcess });
  cleanup(async () => {
    await gateway.terminate();
    await rm(dir, { recursive: true, force: true });
  });
  port = gateway.ports[0]!;
  metrics = async () => (await fetch(`http://127.0.0.1:${gateway.adminPort}/metrics`)).text();
});

it.each(['hook', 'hook, nothing', 'done', 'layer', 'edit', 'answer'])(
  'in its %s: 500 for that request alone',
  async (where) => {
    const both = await Promise.all([send(where), send('nowhere')]);
    expect(both.map(({ status }) => status)).toEqual([500, 200]);
    expect(both[0].field('content-type')).toMatch(/^application\/problem\+json/);
    expect(both[0].field('proxy-status')).toMatch(/error=proxy_internal_error/);
    expect(both[0].text()).not.toMatch(/canary-secret|TypeError|\.ts/);
    expect((await send('nowhere')).status).toBe(200);
  },
);

it('a field that none may be: no answer, at once, and the next one is in order', async () => {
  const { responses, closed } = await ask(port, request('GET', '/x', 'any.test', ['X-Throw: field']), { answers: 0 });
  expect(responses).toEqual([]);
  expect(closed).not.toBe('open');
  const connection = await H2Connection.open(port);
  const asked = await connection.ask(1, get('/x', ['x-throw', 'field']));
  expect([asked.status, asked.reset]).toEqual([undefined, Code.internalError]);
  expect((await connection.ask(3, get('/x'))).status).toBe(200);
  connection.close();
});

it('at the end of a request: its client has had the answer', async () => {
  expect((await send('end')).status).toBe(200);
  expect((await send('nowhere')).status).toBe(200);
});

it('is counted', async () => {
  const count = async () =>
    Number(/^aya_errors_total\{.*proxy_internal_error.*\} (\d+)/m.exec(await metrics())?.[1] ?? 0);
  const before = await count();
  await send('hook');
  expect(await count()).toBe(before + 1);
});

async function send(where: string) {
  const fields = [`X-Throw: ${where}`, 'Connection: close'];
  const { responses } = await ask(port, request('GET', '/x', 'any.test', fields), { answers: 0 });
  return responses[0]!;
}

/** A data thread without a thread: what it throws and nobody catches fails this test. */
function inThisProcess(data: ThreadData): ThreadLine {
  const { port1: control, port2: plane } = new MessageChannel();
  control.unref();
  plane.unref();
  let gone: (cause: Error) => void = () => {};
  void createDataPlane(data, {
    send: (message: FromThread) => plane.postMessage(message),
    onMessage: (listener) => void plane.on('message', listener),
  });
  return {
    send: (message: ToThread) => control.postMessage(message),
    onMessage: (receive) => void control.on('message', receive),
    onExit: (listener) => void (gone = listener),
    async terminate() {
      control.close();
      await Promise.resolve();
      gone(new Error('terminated'));
    },
  };
}
