import { createServer as createHttp2, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { createServer as createTls } from 'node:tls';
import * as grpc from '@grpc/grpc-js';
import { describe, expect, test } from 'vitest';
import { Certificates, hasOpenssl } from '../../../../test/support/certificates.ts';
import { cleanup } from '../../../../test/support/cleanup.ts';
import { ACTIVE } from '../../../../test/support/config.ts';
import { startFaultyUpstream } from '../../../../test/support/faulty-upstream.ts';
import { NOT_SERVING, SERVING, startGrpcServer, type Unary } from '../../../../test/support/grpc.ts';
import { until, within } from '../../../../test/support/until.ts';
import { closedPort, hang, startUpstream, status } from '../../../../test/support/upstream.ts';
import type { ActiveHealthConfig, UpstreamTlsConfig } from '../../../config/schema.ts';
import { createChecker, type CheckResult } from '../checker.ts';

async function check(
  url: string,
  settings: Partial<ActiveHealthConfig> = {},
  { signal = new AbortController().signal, tls }: { signal?: AbortSignal; tls?: UpstreamTlsConfig } = {},
): Promise<CheckResult> {
  const checker = createChecker({ ...ACTIVE, grpc: 'shop.Orders', ...settings }, tls, true);
  return within(checker.check({ url }, signal), 'an answer to the check');
}

const says =
  (message: Buffer): Unary =>
  (_call, done) =>
    done(null, message);

const fails =
  (code: grpc.status): Unary =>
  (_call, done) =>
    done({ code });

/** HTTP/2 without gRPC's manners. @returns its URL, and how many connections are open. */
async function startHttp2(answer: (stream: ServerHttp2Stream) => void) {
  const server = createHttp2();
  let open = 0;
  server.on('session', (session) => {
    open += 1;
    session.on('error', () => {}).on('close', () => (open -= 1));
  });
  server.on('stream', (stream) => {
    stream.on('error', () => {});
    answer(stream);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanup(async () => void server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, open: () => open };
}

describe('grpc', () => {
  test('a service that says SERVING is healthy; it is asked by its name, with the metadata that was told', async () => {
    const asked: [string, grpc.MetadataValue[]][] = [];
    const server = await startGrpcServer({
      check(call, done) {
        asked.push([call.request.toString('latin1'), call.metadata.get('x-probe')]);
        done(null, SERVING);
      },
    });
    expect(await check(server.url, { headers: { 'X-Probe': 'yes' } })).toEqual({ ok: true, reason: 'SERVING' });
    expect(await check(server.url, { grpc: '' })).toEqual({ ok: true, reason: 'SERVING' });
    expect(await check(server.url, { grpc: true })).toEqual({ ok: true, reason: 'SERVING' });
    expect(asked).toEqual([
      ['\n\x0bshop.Orders', ['yes']],
      ['', []],
      ['', []],
    ]);
  });

  test.each([
    ['NOT_SERVING', says(NOT_SERVING)],
    ['SERVICE_UNKNOWN', says(Buffer.from([8, 3]))],
    ['UNKNOWN', says(Buffer.alloc(0))],
    ['answer is no health check response', says(Buffer.from('junk'))],
    ["NOT_FOUND: its health service does not know 'shop.Orders'", fails(grpc.status.NOT_FOUND)],
    ['grpc status UNAVAILABLE', fails(grpc.status.UNAVAILABLE)],
    ['answer of more than 1024 bytes', says(Buffer.alloc(5000))],
  ])('is unhealthy and told as: %s', async (reason, handler) => {
    const server = await startGrpcServer({ check: handler });
    expect(await check(server.url)).toEqual({ ok: false, reason });
  });

  test('a server without the health service is told so', async () => {
    const server = await startGrpcServer();
    const reason = 'UNIMPLEMENTED: the server does not serve grpc.health.v1.Health';
    expect(await check(server.url)).toEqual({ ok: false, reason });
  });

  test('a server that speaks HTTP/1.1 is told so', async () => {
    const upstream = await startUpstream('a', status(200));
    expect(await check(upstream.url)).toEqual({ ok: false, reason: 'answer is not HTTP/2' });
    await until(() => upstream.open === 0, 'the connection is closed');
  });

  test.each([
    ['status 404', { ':status': 404 }],
    ['answer is not gRPC', { ':status': 200, 'content-type': 'text/html' }],
    ['answer without grpc-status', { ':status': 200, 'content-type': 'application/grpc' }],
    ['answer without grpc-status', { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': 'fine' }],
  ])('%s is unhealthy', async (reason, head) => {
    const server = await startHttp2((stream) => stream.respond(head, { endStream: true }));
    expect(await check(server.url)).toEqual({ ok: false, reason });
    await until(() => server.open() === 0, 'the connection is closed');
  });

  test('a stream that is reset is unhealthy', async () => {
    const server = await startHttp2((stream) => stream.close(8));
    expect((await check(server.url)).ok).toBe(false);
    await until(() => server.open() === 0, 'the connection is closed');
  });

  test('when told to stop it lets go of the connection', async () => {
    let asked = false;
    const server = await startHttp2(() => (asked = true));
    const abort = new AbortController();
    const answer = check(server.url, {}, { signal: abort.signal });
    await until(() => asked, 'the probe arrived');
    abort.abort();
    expect((await answer).ok).toBe(false);
    await until(() => server.open() === 0, 'the connection is closed');
    expect((await check(server.url, {}, { signal: AbortSignal.abort() })).ok).toBe(false);
  });

  test('also while it is still connecting, to one who says nothing', async () => {
    const upstream = await startUpstream('a', hang);
    const abort = new AbortController();
    const answer = check(upstream.url.replace('http', 'https'), {}, { signal: abort.signal });
    await until(() => upstream.connections === 1, 'the probe connected');
    abort.abort();
    expect((await answer).ok).toBe(false);
    await until(() => upstream.open === 0, 'the connection is closed');
  });

  test('nobody there is told as: connection refused', async () => {
    const reason = 'connection refused';
    expect(await check(`http://127.0.0.1:${await closedPort()}`)).toEqual({ ok: false, reason });
  });

  test('who hangs up at once is unhealthy', async () => {
    const upstream = await startFaultyUpstream('a');
    await upstream.kill();
    expect((await check(upstream.url)).ok).toBe(false);
  });

  test('another port can answer for the service', async () => {
    const server = await startGrpcServer({ check: says(SERVING) });
    expect((await check('http://127.0.0.1:1', { port: server.port })).ok).toBe(true);
  });
});

describe.skipIf(!hasOpenssl('the gRPC check over TLS'))('grpc over TLS', () => {
  test('proves the endpoint by the pool’s tls', async () => {
    const files = new Certificates();
    files.authority('ca');
    files.issue('server', { altNames: 'DNS:orders.internal' });
    const [cert_chain, private_key] = [Buffer.from(files.pem('server')), Buffer.from(files.pem('server', 'key'))];
    const credentials = grpc.ServerCredentials.createSsl(null, [{ cert_chain, private_key }]);
    const server = await startGrpcServer({ check: says(SERVING) }, { credentials });
    const tls = { verify: true, minVersion: '1.2', ca: files.file('ca.pem') } as const;
    expect(await check(server.url, {}, { tls: { ...tls, serverName: 'orders.internal' } })).toEqual({
      ok: true,
      reason: 'SERVING',
    });
    expect(await check(server.url, {}, { tls })).toEqual({ ok: false, reason: 'certificate for another name' });
    expect(await check(server.url)).toEqual({ ok: false, reason: 'certificate not trusted' });
  });

  test.each([
    ['says so', ['http/1.1']],
    ['does not know of any choice', undefined],
  ])('a server that has no HTTP/2 and %s is told so', async (_, ALPNProtocols) => {
    const files = new Certificates();
    files.authority('ca');
    files.issue('server', { altNames: 'IP:127.0.0.1' });
    const server = createTls({ cert: files.pem('server'), key: files.pem('server', 'key'), ALPNProtocols });
    server.on('secureConnection', (socket) => socket.on('error', () => {}).resume());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    cleanup(async () => void server.close());
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const tls = { verify: true, minVersion: '1.2', ca: files.file('ca.pem') } as const;
    expect(await check(url, {}, { tls })).toEqual({ ok: false, reason: 'no agreement to HTTP/2' });
  });
});
