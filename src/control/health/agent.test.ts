import { createServer, type AddressInfo, type Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { cleanup } from '../../../test/support/cleanup.ts';
import { until } from '../../../test/support/until.ts';
import { closedPort } from '../../../test/support/upstream.ts';
import { askAgent, heed, SILENT } from './agent.ts';

describe('the words of an agent', () => {
  const after = (...lines: string[]) => lines.reduce((state, line) => heed(state, line, 10), SILENT);

  it.each([
    ['75%', { share: 0.75 }],
    ['weight:50%', { share: 0.5 }],
    ['weight:5', { share: 0.5 }],
    ['0%', { share: 0 }],
    ['999%', { share: 2.56 }],
    ['maxconn:30', { maxInFlight: 30 }],
    ['down', { isDown: true }],
    ['fail', { isDown: true }],
    ['stopped', { isDown: true }],
    ['DOWN # disk full, up soon 50%', { isDown: true }],
    ['drain', { rests: 'drain' }],
    ['maint', { rests: 'maint' }],
    ['up 75%, maxconn:7\tdrain', { share: 0.75, maxInFlight: 7, rests: 'drain' }],
    ['down up', {}],
    ['hello 75 %% -5% 1e3% NaN% weight:-1 maxconn:-1 maxconn:x maxconn:9999999 __proto__ constructor', {}],
    ['', {}],
  ])('%s', (line, change) => {
    expect(after(line)).toEqual({ ...SILENT, ...change });
  });

  it('undo only their own kind', () => {
    expect(after('down', 'ready')).toEqual({ ...SILENT, isDown: true });
    expect(after('drain', 'up')).toEqual({ ...SILENT, rests: 'drain' });
    expect(after('down drain 20%', 'up ready')).toEqual({ ...SILENT, share: 0.2 });
    expect(after('maxconn:5', '10%', 'maxconn:0')).toEqual({ ...SILENT, share: 0.1 });
  });

  it('of an absolute weight say nothing where none is written', () => {
    expect(heed(SILENT, 'weight:5', 0)).toEqual(SILENT);
  });
});

describe('asking an agent', () => {
  async function agent(serve: (socket: Socket) => void): Promise<number> {
    const sockets = new Set<Socket>();
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      sockets.add(socket);
      socket.on('error', () => {});
      serve(socket);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    cleanup(async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    return (server.address() as AddressInfo).port;
  }
  const ask = (port: number, send?: string, signal = new AbortController().signal) =>
    askAgent('http://127.0.0.1:1', { port, interval: 1, timeout: 1, ...(send !== undefined && { send }) }, signal);

  it('takes its first line, however it comes', async () => {
    expect(await ask(await agent((socket) => socket.write('up 50%\r\nmore')))).toEqual({ line: 'up 50%' });
    expect(await ask(await agent((socket) => socket.end('75%')))).toEqual({ line: '75%' });
    const dripping = await agent((socket) => {
      for (const byte of 'ready\n') socket.write(byte);
    });
    expect(await ask(dripping)).toEqual({ line: 'ready' });
  });

  it('says what it is told to first', async () => {
    const port = await agent((socket) => socket.on('data', (bytes) => socket.end(`down # ${bytes.toString()}`)));
    expect(await ask(port, 'orders\n')).toEqual({ line: 'down # orders' });
  });

  it('tells why there is no line', async () => {
    expect(await ask(await closedPort())).toEqual({ failure: 'connection refused' });
    expect(await ask(await agent((socket) => socket.end()))).toEqual({ failure: 'said nothing' });
    expect(await ask(await agent((socket) => socket.resetAndDestroy()))).toEqual({ failure: 'connection reset' });
    const flood = await agent((socket) => socket.write('x'.repeat(1024 * 1024)));
    expect(await ask(flood)).toEqual({ failure: 'a line of more than 1024 bytes' });
  });

  it('lets go when nobody wants the answer any more', async () => {
    let closed = 0;
    let open = 0;
    const port = await agent((socket) => {
      open++;
      socket.on('close', () => closed++).on('end', () => socket.end());
      socket.resume();
    });
    const asking = new AbortController();
    const answer = ask(port, undefined, asking.signal);
    await until(() => open === 1, 'the question');
    asking.abort();
    expect(await answer).toHaveProperty('failure');
    await until(() => closed === 1, 'the end of the connection');
  });
});
