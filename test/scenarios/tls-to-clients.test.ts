/** HTTPS at the edge: who the gateway proves to be, whom it lets in, and what it does with those who mean it no good. */
import { copyFileSync, rmSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { beforeAll, describe, expect, it } from 'vitest';
import { Certificates, hasOpenssl } from '../support/certificates.ts';
import { cleanup } from '../support/cleanup.ts';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';
import { ask, RawConnection, request } from '../support/raw-client.ts';
import { until, within } from '../support/until.ts';
import { byPath, slow, startUpstream, type Answer, type Echo, type Upstream } from '../support/upstream.ts';

const FILE = 'test/scenarios/tls-to-clients.test.ts';
const HOST = '127.0.0.1';
const GET = request('GET', '/x', 'api.test');
const LAST = request('GET', '/x', 'api.test', ['Connection: close']);

describe.skipIf(!hasOpenssl(FILE))('TLS', () => {
  let certificates: Certificates;
  let upstream: Upstream;
  let gateway: GatewayFixture;
  /** Ports of the listeners. */
  let several = 0;
  let required = 0;
  let optional = 0;
  let narrow = 0;
  let plain = 0;

  beforeAll(async () => {
    certificates = new Certificates();
    certificates.authority('ca');
    certificates.authority('clients');
    certificates.authority('others');
    certificates.issue('api', { altNames: 'DNS:api.test' });
    certificates.issue('wild', { altNames: 'DNS:*.fleet.test,DNS:fleet.test' });
    certificates.issue('mobile', { by: 'clients' });
    certificates.issue('stranger', { by: 'others' });
    upstream = await startUpstream('users', byPath({ slow: slow(200), half }));
    const pair = (name: string) => ({ cert: certificates.file(`${name}.pem`), key: certificates.file(`${name}.key`) });
    const clientCa = certificates.file('clients.pem');
    const at = (tls: object, limits = {}) => ({ host: HOST, port: 0, tls, limits });
    gateway = await gatewayFixture({
      gateway: {
        listen: [
          at(
            { certificates: [pair('api'), pair('wild')] },
            { headersTimeout: '1s', keepAlive: '500ms', connectionsPerClient: 1_000 },
          ),
          at({ ...pair('api'), clientCa }),
          at({ ...pair('api'), clientCa, clientAuth: 'optional' }),
          at({ ...pair('api'), minVersion: '1.3' }, { connectionsPerClient: 2 }),
          { host: HOST, port: 0 },
        ],
      },
      files: { 'users.yaml': fleet() },
    });
    [several = 0, required = 0, optional = 0, narrow = 0, plain = 0] = gateway.ports;
  });

  const fleet = () => ({
    pools: { users: { endpoints: [upstream.url], health: { passive: false } } },
    routes: [{ name: 'users', match: { path: '/*' }, pool: 'users', retry: false }],
  });

  const client = (name: string, by: string): ConnectionOptions => ({
    cert: certificates.pem(name),
    key: certificates.pem(name, 'key'),
    ca: [certificates.pem('ca'), certificates.pem(by)],
  });

  async function errors(type: string): Promise<number> {
    const { body } = await gateway.admin('/metrics');
    const found = body.split('\n').find((text) => text.startsWith('aya_errors_total') && text.includes(`"${type}"`));
    return Number(found?.split(' ').at(-1) ?? 0);
  }

  const works = async () => expect((await speak(several, LAST)).status).toBe(200);

  describe('a client', () => {
    it('is served as without it, and the upstream is told', async () => {
      const { status, echo: seen } = await speak(several, LAST);
      expect(status).toBe(200);
      expect(field(seen, 'x-forwarded-proto')).toBe('https');
      expect(field(seen, 'forwarded')).toMatch(/;proto=https$/);
      expect(field(seen, 'x-forwarded-port')).toBe('443');
    });

    it('keeps its connection, pipelines, and is let go when it is idle', async () => {
      const { text } = await speak(several, GET + GET);
      expect(text.match(/HTTP\/1\.1 200/g)).toHaveLength(2);
    });

    it('may close its half and still gets its answer', async () => {
      expect((await speak(several, request('GET', '/slow', 'api.test'), { halfClose: true })).status).toBe(200);
    });

    it('sees that an answer was cut', async () => {
      const secure = await open(several);
      secure.write(request('GET', '/half', 'api.test'));
      const begun = new Promise((resolve) =>
        secure.on('data', (chunk) => String(chunk).includes('half') && resolve(0)),
      );
      await within(begun, 'the first half');
      const rest = read(secure);
      halves.pop()!.socket!.resetAndDestroy();
      expect(await rest).toMatchObject({ error: 'ECONNRESET' });
    });

    it('is refused with words when its request is not HTTP', async () => {
      expect((await speak(several, 'GET /x HTTP/1.1\r\nno field\r\n\r\n')).status).toBe(400);
    });

    it('may bring a body in records of one byte', async () => {
      const secure = await open(several);
      const body = 'x'.repeat(200);
      secure.write(request('POST', '/x', 'api.test', ['Connection: close', 'Content-Length: 200']));
      for (const byte of body) secure.write(byte);
      expect((await read(secure)).echo?.body).toBe(body);
    });

    it.each([
      ['only a protocol that we do not', {}, { ALPNProtocols: ['spdy/3.1'] }],
      ['only ciphers without forward secrecy', {}, { maxVersion: 'TLSv1.2', ciphers: 'AES128-GCM-SHA256' }],
      ['only ciphers of CBC', {}, { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA' }],
      ['only TLS 1.1', {}, { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }],
    ] as const)('that speaks %s gets no connection', async (_, _none, options) => {
      await expect(open(several, options as ConnectionOptions)).rejects.toThrow();
      await works();
    });

    it('speaks at least the version that the listener asks for', async () => {
      await expect(open(narrow, { maxVersion: 'TLSv1.2' })).rejects.toThrow();
      expect((await speak(narrow, LAST)).status).toBe(200);
    });
  });

  describe('the certificate', () => {
    const nameOf = async (servername: string | undefined) => {
      const secure = await open(several, servername === undefined ? {} : { servername });
      const { subject } = secure.getPeerCertificate();
      secure.destroy();
      return subject.CN;
    };

    it.each([
      ['api.test', 'api'],
      ['API.TEST', 'api'],
      ['fleet.test', 'wild'],
      ['a.fleet.test', 'wild'],
      ['a.b.fleet.test', 'api'],
      ['.fleet.test', 'wild'],
      ['unknown.test', 'api'],
      ['__proto__', 'api'],
      ['constructor', 'api'],
      ['*.fleet.test', 'wild'],
      ['x'.repeat(255), 'api'],
      [undefined, 'api'],
    ])('for %s is that of %s', async (servername, name) => {
      expect(await nameOf(servername)).toBe(name);
    });

    it.each([
      ['NUL', '\0\0\0\0\0\0\0\0'],
      ['a NUL inside', 'api\0test'],
      ['bytes that are no text', '\xff\xfe\xff\xfe\xff\xfe\xff\xfe'],
    ])('for a name of %s is refused or the first, and nothing breaks', async (_, name) => {
      const hello = await clientHello('api.test');
      hello.write(name, hello.indexOf('api.test'), 'latin1');
      const connection = await RawConnection.open(several);
      connection.send(hello);
      await connection.wait(() => connection.received.length > 0, 'an answer or the close');
      connection.close();
      await works();
    });
  });

  describe('a client certificate', () => {
    it('that the CA has signed opens the door', async () => {
      expect((await speak(required, LAST, client('mobile', 'clients'))).status).toBe(200);
    });

    it.each([
      ['none', () => ({})],
      ['one of another CA', () => client('stranger', 'others')],
      ['one of the server CA', () => client('api', 'ca')],
    ])('is needed where it is required: %s is not enough', async (_, options) => {
      const before = await errors('tls_protocol_error');
      for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
        const asked = speak(required, LAST, { ...options(), maxVersion }).catch(() => ({ status: 0 }));
        expect((await asked).status).toBe(0);
      }
      await until(async () => (await errors('tls_protocol_error')) === before + 2, 'both to be counted');
    });

    it.each([
      ['none', () => ({})],
      ['one of another CA', () => client('stranger', 'others')],
    ])('may be missing where it is optional: %s passes', async (_, options) => {
      expect((await speak(optional, LAST, options())).status).toBe(200);
    });

    it.each(['TLSv1.2', 'TLSv1.3'] as const)(
      'resumed with %s is as good on its own listener, and nothing elsewhere',
      async (maxVersion) => {
        const options = { ...client('mobile', 'clients'), maxVersion };
        const session = await sessionOf(required, options);
        const resumed = async (port: number, more: ConnectionOptions) => {
          const asked = await speak(port, LAST, { maxVersion, session, ...more }).catch(() => undefined);
          return { reused: asked?.reused, status: asked?.status };
        };
        expect(await resumed(required, options)).toEqual({ reused: true, status: 200 });
        expect(await resumed(optional, options)).toEqual({ reused: false, status: 200 });
        // One that began without a certificate does not become one with.
        const anonymous = await sessionOf(optional, { maxVersion });
        const asked = await speak(required, LAST, { maxVersion, session: anonymous }).catch(() => undefined);
        expect(asked?.status ?? 0).toBe(0);
      },
    );
  });

  describe('hostile bytes', () => {
    it.each<[string, () => Promise<Buffer> | Buffer]>([
      ['plain HTTP', () => Buffer.from(GET)],
      ['noise', () => Buffer.from(Array.from({ length: 500 }, (_, at) => (at * 89) % 256))],
      ['a ClientHello of 64 KiB', async () => oversized(await clientHello('api.test'))],
      ['a record of no length', () => Buffer.from('1603010000', 'hex')],
      ['an alert', () => Buffer.from('15030100020228', 'hex')],
    ])('%s: the connection is closed, and others are served', async (_, bytes) => {
      const connection = await RawConnection.open(several);
      connection.send(await bytes());
      await connection.wait(() => false, 'the close');
      expect(connection.closed).not.toBe('open');
      await works();
    });

    it('plain HTTP is counted, and who only looks whether the port is open is not', async () => {
      const before = await errors('tls_protocol_error');
      (await RawConnection.open(several)).reset();
      const silent = await RawConnection.open(several);
      silent.halfClose();
      await silent.wait(() => false, 'the close');
      await ask(several, GET, { answers: 0 });
      await until(async () => (await errors('tls_protocol_error')) === before + 1, 'one to be counted');
    });

    it('a ClientHello byte by byte is as good as one', async () => {
      const connection = await RawConnection.open(several);
      connection.socket.setNoDelay(true);
      for (const byte of await clientHello('api.test')) {
        connection.send(Buffer.of(byte));
        await new Promise(setImmediate);
      }
      await connection.wait(() => connection.received.length > 0, 'the server’s part');
      expect(connection.received[0]).toBe(0x16);
      connection.close();
    });

    it('handshakes that never end are closed, and are connections while they last', async () => {
      const opened = await Promise.all(Array.from({ length: 500 }, () => RawConnection.open(several)));
      for (const [at, connection] of opened.entries())
        if (at % 2 === 0) connection.send(Buffer.from('16030102', 'hex'));
      const now = async () =>
        Number(/^aya_connections\{side="downstream"\} (\d+)/m.exec((await gateway.admin('/metrics')).body)?.[1]);
      await until(async () => (await now()) >= 500, 'connections that are counted');
      await Promise.all(opened.map((connection) => connection.wait(() => false, 'the close', 5_000)));
      expect(opened.every(({ closed }) => closed !== 'open')).toBe(true);
      await works();
    });

    it('a new handshake within a connection is refused', async () => {
      const secure = await open(several, { maxVersion: 'TLSv1.2' });
      const refused = new Promise<Error | null>((resolve) => {
        secure.on('error', resolve);
        secure.renegotiate({}, resolve);
      });
      expect(await within(refused, 'the refusal')).toBeInstanceOf(Error);
      await works();
    });

    it('of a client beyond its number not even a handshake is begun', async () => {
      const [one, two] = [await open(narrow), await RawConnection.open(narrow)];
      const third = await RawConnection.open(narrow);
      await third.wait(() => false, 'the close');
      expect(third.closed).not.toBe('open');
      expect(await errors('connection_limit_reached')).toBeGreaterThan(0);
      two.close();
      one.destroy();
      await until(
        () =>
          speak(narrow, LAST).then(
            ({ status }) => status === 200,
            () => false,
          ),
        'room again',
      );
    });

    it('a record that was tampered with ends its connection only', async () => {
      const socket = await opened(connect(several, HOST));
      const secure = await secured(connectTls({ socket, rejectUnauthorized: false }));
      secure.on('error', () => {});
      secure.write(GET);
      await new Promise((resolve) => secure.once('data', resolve));
      const closed = new Promise((resolve) => socket.once('close', resolve));
      socket.write(Buffer.from('1703030020' + 'ab'.repeat(32), 'hex'));
      await within(closed, 'the close');
      await works();
    });
  });

  it('beside it, plain HTTP is what it was', async () => {
    const { responses } = await ask(plain, GET);
    expect(field(JSON.parse(responses[0]!.text()) as Echo, 'x-forwarded-proto')).toBe('http');
  });

  describe('a reload', () => {
    let renewed: GatewayFixture;
    let set: Certificates;

    beforeAll(async () => {
      set = new Certificates();
      for (const name of ['ca', 'clients', 'others']) set.authority(name);
      for (const name of ['old', 'new']) set.issue(name, { altNames: 'DNS:api.test' });
      set.issue('mobile', { by: 'clients' });
      use('old', 'old');
      copyFileSync(set.file('clients.pem'), set.file('current-ca.pem'));
      const tls = { cert: set.file('current.pem'), key: set.file('current.key') };
      const clientCa = set.file('current-ca.pem');
      renewed = await gatewayFixture({
        gateway: { listen: [{ host: HOST, port: 0, tls: { ...tls, clientCa, clientAuth: 'optional' } }], threads: 2 },
        files: { 'users.yaml': fleet() },
        crashes: true,
      });
    });

    const use = (cert: string, key: string) => {
      copyFileSync(set.file(`${cert}.pem`), set.file('current.pem'));
      copyFileSync(set.file(`${key}.key`), set.file('current.key'));
    };
    const names = async () => {
      const shown = await Promise.all(
        Array.from({ length: 8 }, async () => {
          const secure = await open(renewed.port);
          const { subject } = secure.getPeerCertificate();
          secure.destroy();
          return subject.CN;
        }),
      );
      return [...new Set(shown)];
    };

    it('shows a renewed certificate at once, and connections live on', async () => {
      const kept = await open(renewed.port);
      kept.write(GET);
      await new Promise((resolve) => kept.once('data', resolve));
      expect(await names()).toEqual(['old']);
      use('new', 'new');
      const { status, body } = await renewed.reload();
      expect(status).toBe(200);
      expect(JSON.parse(body)).toMatchObject({ changes: ['gateway changed: listen.0.tlsDigest'] });
      expect(renewed.logs.filter(({ event }) => event === 'restart_needed')).toEqual([]);
      expect(await names()).toEqual(['new']);
      kept.write(LAST);
      expect((await read(kept)).status).toBe(200);
    });

    it('refuses a key that is not the certificate’s, and the pair before serves on, also in a thread that starts', async () => {
      use('new', 'old');
      const { status, body } = await renewed.reload();
      expect(status).not.toBe(200);
      expect(body).toMatch(/gateway\.yaml:\d+:\d+: error: the key .* does not belong to the certificate/);
      expect(await names()).toEqual(['new']);
      rmSync(set.file('current.key'));
      const { length } = renewed.threads;
      await renewed.threads[0]!.terminate();
      await until(() => renewed.threads.length > length, 'a thread in its place');
      const up = async () =>
        (JSON.parse((await renewed.admin('/status')).body) as { threads: { state: string }[] }).threads;
      await until(async () => (await up()).every(({ state }) => state === 'up'), 'both threads to be up');
      expect(await names()).toEqual(['new']);
      use('new', 'new');
    });

    it('is not needed to be asked for: the files are watched, also while they are wrong', async () => {
      use('old', 'new');
      await until(() => renewed.logs.some(({ event }) => event === 'reload_refused'), 'the wrong pair to be refused');
      use('old', 'old');
      await until(async () => (await names()).join() === 'old', 'the renewed certificate to be shown');
    });

    it('that changes whom clients must be signed by forgets their sessions', async () => {
      const options = { cert: set.pem('mobile'), key: set.pem('mobile', 'key'), maxVersion: 'TLSv1.2' as const };
      const session = await sessionOf(renewed.port, options);
      const reused = async () => (await speak(renewed.port, LAST, { ...options, session })).reused;
      // Whichever thread takes the connection.
      for (let time = 0; time < 6; time++) expect(await reused()).toBe(true);
      copyFileSync(set.file('others.pem'), set.file('current-ca.pem'));
      expect((await renewed.reload()).status).toBe(200);
      expect(await reused()).toBe(false);
    });
  });
});

/** Answers of which the test sends no more than a part. */
const halves: ServerResponse[] = [];

const half: Answer = (_req, res) => {
  halves.push(res);
  res.writeHead(200, { 'content-length': '100' });
  res.write('half');
};

function field(seen: Echo | undefined, name: string): string | undefined {
  return seen?.fields[seen.fields.indexOf(name) + 1];
}

interface Spoken {
  readonly status: number;
  readonly text: string;
  readonly echo: Echo | undefined;
  readonly reused: boolean;
  /** How the connection broke, when it did. */
  readonly error: string | undefined;
}

/** Resolves when the handshake is over. */
async function open(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const secure = connectTls({
    port,
    host: HOST,
    rejectUnauthorized: false,
    allowHalfOpen: true,
    ...options,
  } as ConnectionOptions);
  cleanup(async () => void secure.destroy());
  return secured(secure);
}

function secured(secure: TLSSocket): Promise<TLSSocket> {
  const done = new Promise<TLSSocket>((resolve, reject) => {
    secure.once('secureConnect', () => resolve(secure));
    secure.once('error', reject);
    secure.once('close', () => reject(new Error('closed')));
  });
  return within(done, 'the handshake');
}

function opened(socket: Socket): Promise<Socket> {
  return new Promise((resolve, reject) => socket.once('connect', () => resolve(socket)).once('error', reject));
}

/** Everything until the other side closes. */
async function read(secure: TLSSocket): Promise<Spoken> {
  let text = '';
  let error: string | undefined;
  secure.setEncoding('latin1');
  secure.on('data', (chunk: string) => (text += chunk));
  secure.on('error', (cause: NodeJS.ErrnoException) => (error = cause.code));
  const ended = new Promise((resolve) => secure.once('end', resolve).once('close', resolve));
  await within(ended, 'the end of the answer');
  const reused = secure.isSessionReused();
  secure.destroy();
  const body = text.slice(text.lastIndexOf('\r\n\r\n') + 4);
  const seen = body.startsWith('{') ? (JSON.parse(body) as Echo) : undefined;
  return { status: Number(/HTTP\/1\.1 ([2-5]\d\d)/.exec(text)?.[1] ?? 0), text, echo: seen, reused, error };
}

async function speak(
  port: number,
  bytes: string,
  { halfClose = false, ...options }: ConnectionOptions & { halfClose?: boolean } = {},
): Promise<Spoken> {
  const secure = await open(port, options);
  const answer = read(secure);
  secure.write(bytes);
  if (halfClose) secure.end();
  return answer;
}

/** A session that can be resumed. */
async function sessionOf(port: number, options: ConnectionOptions): Promise<Buffer> {
  const secure = connectTls({ port, host: HOST, rejectUnauthorized: false, ...options });
  const session = new Promise<Buffer>((resolve) => secure.once('session', resolve));
  secure.once('secureConnect', () => secure.write(GET));
  const found = await within(session, 'a session');
  secure.destroy();
  return found;
}

/** The first bytes of a handshake. */
async function clientHello(servername: string): Promise<Buffer> {
  return new Promise((resolve) => {
    const wire = new Duplex({
      read() {},
      write(chunk: Buffer, _encoding, done) {
        resolve(Buffer.from(chunk));
        done();
      },
    });
    connectTls({ socket: wire, servername }).on('error', () => {});
  });
}

/** The same with an extension that fills it to 64 KiB, over as many records as that takes. */
function oversized(hello: Buffer): Buffer {
  const body = Buffer.concat([hello.subarray(9), Buffer.alloc(65_536 - hello.length)]);
  const message = Buffer.concat([Buffer.of(1, 0, body.length >> 8, body.length & 255), body]);
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += 16_384) {
    const part = message.subarray(at, at + 16_384);
    records.push(Buffer.of(0x16, 3, 1, part.length >> 8, part.length & 255), part);
  }
  return Buffer.concat(records);
}
