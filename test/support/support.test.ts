/** The tools of the tests, tried without a gateway: what they say of a peer is true. */
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { startFaultyUpstream } from './faulty-upstream.ts';
import { MalformedMessage, readRequest, readResponse } from './http1.ts';
import { startLoad } from './load.ts';
import { ask, RawConnection, request } from './raw-client.ts';
import { until } from './until.ts';
import { closedPort, startUpstream, status } from './upstream.ts';

describe('the strict reader', () => {
  const read = (text: string, ended = false) => readResponse(Buffer.from(text, 'latin1'), 'GET', ended);

  it('takes one message and leaves the rest', () => {
    const result = read('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1');
    expect(result?.message.body.toString()).toBe('ok');
    expect(result?.rest.toString()).toBe('HTTP/1.1');
  });

  it('joins chunks and keeps trailers apart', () => {
    const result = read('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-T: 1\r\n\r\n');
    expect(result?.message.body.toString()).toBe('ok');
    expect(result?.message.trailers).toEqual(['X-T', '1']);
  });

  it.each([
    'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n',
    'HTTP/1.1 200 OK\r\nX',
  ])('waits for the rest of %j', (text) => {
    expect(read(text, true)).toBeUndefined();
  });

  it.each([
    'HTTP/2.0 200 OK\r\n\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok',
    'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n',
    'HTTP/1.1 200 OK\r\nX Y: 1\r\n\r\n',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x2\r\nok\r\n',
  ])('refuses %j', (text) => {
    expect(() => read(text)).toThrow(MalformedMessage);
  });

  it('refuses a request with a space in its target', () => {
    expect(() => readRequest(Buffer.from('GET /a b HTTP/1.1\r\n\r\n'))).toThrow(MalformedMessage);
  });
});

describe('the upstreams', () => {
  it('name themselves and repeat what they got', async () => {
    const upstream = await startUpstream('one');
    const { responses } = await ask(upstream.port, request('POST', '/x', 'any.test', ['X-A: 1'], 'body'));
    expect(JSON.parse(responses[0]!.text())).toMatchObject({
      instance: 'one',
      method: 'POST',
      target: '/x',
      body: 'body',
    });
    expect(upstream.seen[0]).toMatchObject({ method: 'POST', target: '/x', connection: 1 });
  });

  it('reset their clients and refuse new ones when killed, and come back on their port', async () => {
    const upstream = await startUpstream('one');
    const connection = await RawConnection.open(upstream.port);
    await upstream.kill();
    await connection.wait(() => false, 'the reset');
    expect(connection.closed).toBe('reset');
    await expect(RawConnection.open(upstream.port)).rejects.toThrow('ECONNREFUSED');
    await upstream.revive();
    expect((await ask(upstream.port, request('GET', '/', 'any.test'))).responses).toHaveLength(1);
  });

  it('misbehave as they are told', async () => {
    const upstream = await startFaultyUpstream();
    const get = (fault: string) =>
      ask(upstream.port, request('GET', `/${fault}`, 'any.test'), { answers: 0, deadlineMs: 300 });
    expect(await get('reset-before-head')).toMatchObject({ closed: 'reset', responses: [] });
    expect(await get('close-mid-body')).toMatchObject({ closed: 'fin', responses: [] });
    expect((await get('both-framings')).malformed).toBe('more than one framing');
    expect((await get('extra-bytes')).responses).toHaveLength(2);
    expect((await get('any')).responses[0]?.status).toBe(200);
    expect(upstream.heads).toHaveLength(5);
  });

  it('say which port is closed', async () => {
    const socket = connect(await closedPort(), '127.0.0.1');
    await expect(new Promise((_, reject) => socket.once('error', reject))).rejects.toThrow('ECONNREFUSED');
  });
});

describe('the load', () => {
  it.each([true, false])('counts what was served, by instance (fresh connections: %s)', async (fresh) => {
    const upstream = await startUpstream('one');
    const load = startLoad(upstream.url, { clients: 2, fresh });
    await until(() => load.served >= 50, 'load');
    await load.stop();
    expect(load.failures).toEqual([]);
    expect(load.byInstance).toEqual({ one: load.served });
    if (fresh) expect(upstream.connections).toBe(load.served);
    else expect(upstream.connections).toBe(2);
  });

  it('notices failures', async () => {
    const upstream = await startUpstream('one', status(503));
    // The first fifty failures are kept: a quick service would fill them before it is gone.
    const load = startLoad(upstream.url, { clients: 1, everyMs: 5 });
    await until(() => load.failed > 3, 'failures');
    await upstream.kill();
    await until(() => load.failures.some((line) => /ECONNREFUSED/.test(line)), 'a refused connection');
    await load.stop();
    expect(load.served).toBe(0);
    expect(load.failures[0]).toMatch(/^#0: 503/);
  });
});
