/** A balancer that moves connections, and says in the PROXY protocol whose they are: the client is the client everywhere. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { beforeAll, describe, expect, it } from 'vitest';
import { Certificates, hasOpenssl } from '../support/certificates.ts';
import { cleanup } from '../support/cleanup.ts';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';
import { ask, RawConnection, request, type RawResult } from '../support/raw-client.ts';
import { until, within } from '../support/until.ts';
import { closedPort, startUpstream, type Echo, type Upstream } from '../support/upstream.ts';

const FILE = 'test/scenarios/behind-a-balancer.test.ts';
const HOST = '127.0.0.1';
const PEER = '127.0.0.1';
const CLIENT = '203.0.113.9';

let upstream: Upstream;
let gateway: GatewayFixture;
/** Ports of the listeners: one that we may use, one that we may not. */
let port = 0;
let strange = 0;

beforeAll(async () => {
  upstream = await startUpstream('users');
  const limits = { headersTimeout: '1s', connectionsPerClient: 3 };
  gateway = await gatewayFixture({
    gateway: {
      listen: [
        { host: HOST, port: 0, proxyProtocol: { from: ['127.0.0.0/8'] }, limits },
        { host: HOST, port: 0, proxyProtocol: { from: ['10.0.0.0/8'] }, limits },
      ],
      trustedProxies: ['192.0.2.0/24'],
    },
    files: { 'users.yaml': fleet() },
  });
  [port = 0, strange = 0] = gateway.ports;
});

const fleet = () => ({
  pools: { users: { endpoints: [upstream.url], health: { passive: false } } },
  routes: [{ name: 'users', match: { path: '/*' }, pool: 'users' }],
});

const line = (client: string) => `PROXY TCP4 ${client} 198.51.100.1 49152 443\r\n`;
const binary = (command: number, rest: string) => {
  const block = Buffer.from(rest.replaceAll(' ', ''), 'hex');
  const head = Buffer.from([...Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1'), command, 0x11, 0, block.length]);
  return Buffer.concat([head, block]);
};
const GET = request('GET', '/x', 'api.test');

/** A field that the upstream got. */
function got(result: RawResult, name: string, at = 0): string | undefined {
  const { fields } = JSON.parse(result.responses[at]!.text()) as Echo;
  return fields[fields.indexOf(name) + 1];
}

async function errors(type: string): Promise<number> {
  const { body } = await gateway.admin('/metrics');
  const found = body.split('\n').find((text) => text.startsWith('aya_errors_total') && text.includes(`"${type}"`));
  return Number(found?.split(' ').at(-1) ?? 0);
}

describe('the client that the balancer names', () => {
  it.each([
    ['in a line', Buffer.from(line(CLIENT))],
    ['in bytes', binary(0x21, 'cb007109 c6336401 c000 01bb')],
  ])('%s is the client, and the port that it asked is the port', async (_, header) => {
    const result = await ask(port, Buffer.concat([header, Buffer.from(GET)]));
    expect(got(result, 'x-forwarded-for')).toBe(CLIENT);
    expect(got(result, 'forwarded')).toBe(`for=${CLIENT};host="api.test";proto=http`);
    const old = await ask(port, Buffer.concat([header, Buffer.from('GET /x HTTP/1.0\r\n\r\n')]));
    expect(got(old, 'x-forwarded-port')).toBe('443');
    expect(got(old, 'x-forwarded-host')).toBe('198.51.100.1');
  });

  it('stays it for every request of the connection, however the header was cut', async () => {
    const connection = await RawConnection.open(port);
    connection.socket.setNoDelay(true);
    for (const byte of line(CLIENT) + GET) {
      connection.send(byte);
      await new Promise(setImmediate);
    }
    const first = JSON.parse((await connection.answer()).text()) as Echo;
    connection.send(GET);
    const second = JSON.parse((await connection.answer()).text()) as Echo;
    for (const { fields } of [first, second]) expect(fields[fields.indexOf('x-forwarded-for') + 1]).toBe(CLIENT);
    connection.close();
  });

  it('may pipeline, and close its half, in the same segment', async () => {
    const result = await ask(port, line(CLIENT) + GET + GET, { answers: 2, halfClose: true });
    expect(result.responses.map(({ status }) => status)).toEqual([200, 200]);
    expect(got(result, 'x-forwarded-for', 1)).toBe(CLIENT);
  });

  it.each([
    ['UNKNOWN', Buffer.from('PROXY UNKNOWN\r\n')],
    ['LOCAL', binary(0x20, '')],
  ])('is the balancer itself when it says %s', async (_, header) => {
    expect(got(await ask(port, Buffer.concat([header, Buffer.from(GET)])), 'x-forwarded-for')).toBe(PEER);
  });

  it('is the one that is trusted, or not, with what it says of others', async () => {
    const spoofed = request('GET', '/x', 'api.test', ['X-Forwarded-For: 198.51.100.77']);
    expect(got(await ask(port, line(CLIENT) + spoofed), 'x-forwarded-for')).toBe(CLIENT);
    expect(got(await ask(port, line('192.0.2.1') + spoofed), 'x-forwarded-for')).toBe('198.51.100.77, 192.0.2.1');
  });

  it('is the one whose connections are counted', async () => {
    const open = async (client: string) => {
      const connection = await RawConnection.open(port);
      connection.send(line(client) + GET);
      return connection;
    };
    const statusOf = async (connection: RawConnection) => (await connection.answer()).status;
    const three = [await open('203.0.113.50'), await open('203.0.113.50'), await open('203.0.113.50')];
    expect(await Promise.all(three.map(statusOf))).toEqual([200, 200, 200]);
    expect(await statusOf(await open('203.0.113.50'))).toBe(503);
    expect(await statusOf(await open('203.0.113.51'))).toBe(200);
    three[0]!.close();
    await until(async () => (await statusOf(await open('203.0.113.50'))) === 200, 'room again');
    for (const connection of three) connection.close();
  });

  it('has one count for all addresses of its network', async () => {
    const open = async (at: number) => {
      const connection = await RawConnection.open(port);
      connection.send(`PROXY TCP6 2001:db8:1:2:3:4:5:${at} 2001:db8::1 49152 443\r\n${GET}`);
      return connection;
    };
    const connections = [await open(1), await open(2), await open(3)];
    for (const connection of connections) expect((await connection.answer()).status).toBe(200);
    expect((await (await open(4)).answer()).status).toBe(503);
    for (const connection of connections) connection.close();
    await until(async () => (await (await open(5)).answer()).status === 200, 'room again');
  });
});

describe('a connection', () => {
  it.each([
    ['plain HTTP', GET],
    ['a header with a wrong address', `PROXY TCP4 203.0.113.999 198.51.100.1 1 2\r\n${GET}`],
    ['a header without end', `PROXY ${'x'.repeat(200)}`],
    ['a version 2 that is too long', binary(0x21, '00'.repeat(255)).fill(0xff, 14, 16)],
    ['a header that stops half way, and its half closed', 'PROXY TCP4'],
  ])('that begins with %s is closed without an answer, and counted', async (_, bytes) => {
    const before = await errors('http_request_error');
    upstream.clear();
    const result = await ask(port, bytes, { answers: 0, halfClose: true });
    expect(result.closed).not.toBe('open');
    expect(result.leftover.length).toBe(0);
    expect(upstream.requests).toBe(0);
    expect(await errors('http_request_error')).toBe(before + 1);
  });

  it('that never says whose it is is closed when the time for a head is over', async () => {
    const connection = await RawConnection.open(port);
    connection.send('PROXY TCP4 ');
    await connection.wait(() => false, 'the close', 8_000);
    expect(connection.closed).not.toBe('open');
  });

  it('that only looks whether the port is open is no error', async () => {
    const before = await errors('http_request_error');
    const connection = await RawConnection.open(port);
    connection.halfClose();
    await connection.wait(() => false, 'the close');
    (await RawConnection.open(port)).reset();
    expect((await ask(port, line(CLIENT) + GET)).responses[0]?.status).toBe(200);
    expect(await errors('http_request_error')).toBe(before);
  });

  it('from anybody else is closed, whatever it says', async () => {
    const before = await errors('http_request_denied');
    const result = await ask(strange, line(CLIENT) + GET, { answers: 0 });
    expect(result.closed).not.toBe('open');
    expect(result.responses).toEqual([]);
    expect(await errors('http_request_denied')).toBe(before + 1);
  });
});

describe.skipIf(!hasOpenssl(FILE))('with TLS', () => {
  let secure = 0;

  beforeAll(async () => {
    const certificates = new Certificates();
    certificates.authority('ca');
    certificates.issue('server', { altNames: 'DNS:api.test' });
    const tls = { cert: certificates.file('server.pem'), key: certificates.file('server.key') };
    const proxied = await gatewayFixture({
      gateway: { listen: [{ host: HOST, port: 0, tls, proxyProtocol: { from: [PEER] } }] },
      files: { 'users.yaml': fleet() },
    });
    secure = proxied.port;
  });

  /** @param together the header travels with the first bytes of the handshake. */
  async function askSecurely(together: boolean): Promise<Echo> {
    const connection = await RawConnection.open(secure);
    const { socket } = connection;
    if (together) socket.cork();
    connection.send(line(CLIENT));
    const tls = connectTls({ socket, servername: 'api.test', rejectUnauthorized: false });
    if (together) setImmediate(() => socket.uncork());
    tls.write(request('GET', '/x', 'api.test', ['Connection: close']));
    let text = '';
    tls.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    await within(new Promise((resolve) => tls.on('end', resolve)), 'the answer');
    return JSON.parse(text.slice(text.indexOf('\r\n\r\n') + 4)) as Echo;
  }

  it.each([true, false])('the header comes before the handshake (in one segment: %s)', async (together) => {
    const { fields } = await askSecurely(together);
    expect(fields[fields.indexOf('x-forwarded-for') + 1]).toBe(CLIENT);
    expect(fields[fields.indexOf('x-forwarded-proto') + 1]).toBe('https');
  });
});

const hasHaproxy = spawnSync('haproxy', ['-v']).error === undefined;
if (!hasHaproxy) console.warn(`${FILE}: HAProxy is not installed, its tests are skipped`);

describe.skipIf(!hasHaproxy)('behind HAProxy', () => {
  it.each(['send-proxy', 'send-proxy-v2', 'send-proxy-v2 proxy-v2-options crc32c,unique-id'])(
    'with %s the upstream sees the true client',
    async (option) => {
      const front = await closedPort();
      const dir = mkdtempSync(join(tmpdir(), 'aya-haproxy-'));
      writeFileSync(join(dir, 'haproxy.cfg'), haproxyConfig(front, `127.0.0.1:${port} ${option}`));
      const haproxy = spawn('haproxy', ['-db', '-f', join(dir, 'haproxy.cfg')], { stdio: 'ignore' });
      cleanup(async () => {
        haproxy.kill();
        rmSync(dir, { recursive: true });
      });
      const echo = await until(() => askFrom('127.0.0.7', front).catch(() => undefined), 'an answer through HAProxy');
      expect(echo.fields[echo.fields.indexOf('x-forwarded-for') + 1]).toBe('127.0.0.7');
    },
  );
});

const haproxyConfig = (front: number, server: string) => `
defaults
  mode tcp
  timeout connect 2s
  timeout client 5s
  timeout server 5s
frontend clients
  bind 127.0.0.1:${front}
  unique-id-format %[uuid()]
  default_backend gateways
backend gateways
  server gateway ${server}
`;

/** @param localAddress of the client. */
function askFrom(localAddress: string, at: number): Promise<Echo> {
  return new Promise((resolve, reject) => {
    const asked = get({ host: HOST, port: at, path: '/x', localAddress, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('end', () => {
        if (response.statusCode === 200) resolve(JSON.parse(text) as Echo);
        else reject(new Error(text));
      });
    });
    asked.on('error', reject);
  });
}
