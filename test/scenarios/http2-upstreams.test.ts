/** Endpoints that speak HTTP/2: what a client gets through them is what it gets from any other. */
import { createHash } from 'node:crypto';
import http, { type IncomingMessage } from 'node:http';
import http2 from 'node:http2';
import type { Socket } from 'node:net';
import tls from 'node:tls';
import { beforeAll, describe, expect, it } from 'vitest';
import { Certificates, hasOpenssl } from '../support/certificates.ts';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';
import { byPath, startHttp2Upstream, type Http2Upstream } from '../support/http2-upstream.ts';
import { ask, RawConnection } from '../support/raw-client.ts';
import { until } from '../support/until.ts';
import { hold, ignore, startUpstream, type Upstream } from '../support/upstream.ts';
import { agree, frame, openSocket, TEXT } from '../support/web-socket.ts';

const MIB = 1024 ** 2;

interface Echoed {
  readonly session: number;
  readonly fields: string[];
  readonly body: string;
  readonly trailers: string[];
}

const valueOf = (fields: readonly string[], name: string) => fields[fields.indexOf(name) + 1];

describe('an endpoint with http2: true', () => {
  let gateway: GatewayFixture;
  let upstream: Http2Upstream;
  let plain: Upstream;

  beforeAll(async () => {
    upstream = await startHttp2Upstream(
      'two',
      byPath({
        bytes: (stream) => {
          stream.respond({ ':status': 200, 'content-length': 24 * MIB });
          const chunk = Buffer.alloc(64 * 1024, 'x');
          let left = 24 * 16;
          const more = () => {
            while (left > 0 && !stream.destroyed) if ((left--, !stream.write(chunk))) return;
            stream.end();
          };
          stream.on('drain', more);
          more();
        },
        digest: (stream) => {
          const hash = createHash('sha256');
          let length = 0;
          stream.on('data', (chunk: Buffer) => {
            hash.update(chunk);
            length += chunk.length;
          });
          stream.on('end', () => {
            stream.respond({ ':status': 200 });
            stream.end(`${length} ${hash.digest('hex')}`);
          });
        },
        trailers: (stream) => {
          stream.respond({ ':status': 200 }, { waitForTrailers: true });
          stream.on('wantTrailers', () => stream.sendTrailers({ 'x-checksum': '42', 'set-cookie': 'a=b' }));
          stream.end('ok');
        },
        'trailers-only': (stream) => stream.respond({ ':status': 200, 'grpc-status': '5' }, { endStream: true }),
        hints: (stream) => {
          stream.additionalHeaders({ ':status': 103, link: '</a.css>; rel=preload' });
          stream.respond({ ':status': 200, 'content-length': 2 });
          stream.end('ok');
        },
        fields: (stream) => {
          stream.respond({
            ':status': 200,
            'content-length': 2,
            'set-cookie': ['a=1', 'b=2'],
            trailer: 'x',
            'proxy-authenticate': 'Basic',
          });
          stream.end('ok');
        },
        misdirected: (stream) => stream.respond({ ':status': 421 }, { endStream: true }),
        'no-content': (stream) => stream.respond({ ':status': 204 }, { endStream: true }),
        'not-modified': (stream) => stream.respond({ ':status': 304, etag: '"1"' }, { endStream: true }),
        hang: ignore,
        'early-answer': (stream) => {
          stream.respond({ ':status': 403, 'content-length': 3 });
          stream.end('no!');
        },
      }),
    );
    plain = await startUpstream('one');
    gateway = await gatewayFixture({
      files: {
        'two.yaml': {
          pools: { two: { endpoints: [upstream.url], http2: true }, one: { endpoints: [plain.url] } },
          routes: [
            { name: 'two', pool: 'two', limits: { body: '100MiB' } },
            { name: 'one', match: { path: '/one/*' }, pool: 'one' },
          ],
        },
      },
    });
  });

  const fetchEcho = async (path: string, init?: RequestInit) =>
    (await (await fetch(gateway.url + path, init)).json()) as Echoed;

  it('gets the request as HTTP/2 writes it', async () => {
    const { responses } = await ask(
      gateway.port,
      'POST /a/b?c=d HTTP/1.1\r\nHost: a.test\r\nConnection: x-gone\r\nX-Gone: 1\r\nX-Mixed-Case: Kept\r\n' +
        'Content-Length: 5\r\n\r\nhello',
    );
    const { fields, body } = JSON.parse(responses[0]!.text()) as Echoed;
    expect(body).toBe('hello');
    expect(fields.slice(0, 8)).toEqual([
      ':method',
      'POST',
      ':scheme',
      'http',
      ':authority',
      'a.test',
      ':path',
      '/a/b?c=d',
    ]);
    expect(valueOf(fields, 'x-mixed-case')).toBe('Kept');
    expect(valueOf(fields, 'content-length')).toBe('5');
    for (const gone of ['host', 'connection', 'transfer-encoding', 'keep-alive', 'te', 'x-gone']) {
      expect(fields).not.toContain(gone);
    }
  });

  it('gets a field twice that a client wrote twice, byte for byte', async () => {
    const { responses } = await ask(
      gateway.port,
      'GET / HTTP/1.1\r\nHost: a.test\r\nUser-Agent: a\r\nUser-Agent: b\r\nX-Latin: \xe9\r\n\r\n',
    );
    const { fields } = JSON.parse(responses[0]!.text()) as Echoed;
    expect(fields.filter((_, at) => fields[at - 1] === 'user-agent')).toEqual(['a', 'b']);
    expect(valueOf(fields, 'x-latin')).toBe('\xe9');
  });

  it('is asked many times at once on one connection', async () => {
    const before = upstream.connections;
    const answers = await Promise.all(Array.from({ length: 60 }, (_, at) => fetchEcho(`/${at}`)));
    expect(new Set(answers.map(({ session }) => session)).size).toBe(1);
    expect(upstream.connections).toBeLessThanOrEqual(before + 1);
  });

  it.each([
    ['HEAD', '/x', 200, ''],
    ['GET', '/no-content', 204, ''],
    ['GET', '/not-modified', 304, ''],
    ['GET', '/misdirected', 421, ''],
    ['GET', '/fields', 200, 'ok'],
  ])('%s %s', async (method, path, status, body) => {
    const response = await fetch(gateway.url + path, { method });
    expect([response.status, await response.text()]).toEqual([status, body]);
  });

  it('answers with fields of its own, without those that are for one connection', async () => {
    const { headers } = await fetch(`${gateway.url}/fields`);
    expect(headers.getSetCookie()).toEqual(['a=1', 'b=2']);
    expect([headers.get('trailer'), headers.get('proxy-authenticate')]).toEqual([null, null]);
  });

  it('sends early hints and trailers', async () => {
    const get = 'GET /two/hints HTTP/1.1\r\nHost: a.test\r\n\r\n';
    const hinted = await ask(gateway.port, get);
    expect(hinted.interim.map(({ status }) => status)).toEqual([103]);
    expect(hinted.responses[0]!.text()).toBe('ok');
    const { responses } = await ask(gateway.port, get.replace('hints', 'trailers'));
    expect(responses[0]!.trailers).toEqual(['x-checksum', '42']);
  });

  it('may answer with a head alone, as gRPC does when it fails', async () => {
    const response = await fetch(`${gateway.url}/trailers-only`);
    expect([response.status, response.headers.get('grpc-status'), await response.text()]).toEqual([200, '5', '']);
  });

  it('gets an upload of 50 MiB, whole and at its own pace', async () => {
    const chunk = Buffer.alloc(MIB, 'u');
    const hash = createHash('sha256');
    const request = http.request(`${gateway.url}/digest`, { method: 'POST' });
    const answered = new Promise<string>((resolve, reject) => {
      request.on('error', reject);
      request.on('response', (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => (text += part));
        response.on('end', () => resolve(text));
      });
    });
    for (let at = 0; at < 50; at++) {
      chunk[0] = at;
      hash.update(chunk);
      if (!request.write(Buffer.from(chunk))) await new Promise((resolve) => request.once('drain', resolve));
    }
    request.end();
    expect(await answered).toBe(`${50 * MIB} ${hash.digest('hex')}`);
  });

  it('is not asked for more of an upload than it takes', async () => {
    const request = http.request(`${gateway.url}/hang`, { method: 'POST' });
    request.on('error', ignore);
    let sent = 0;
    const chunk = Buffer.alloc(64 * 1024);
    const more = () => {
      for (let takes = true; takes && sent < 64 * MIB; sent += chunk.length) takes = request.write(chunk);
    };
    request.on('drain', more);
    more();
    let before = -1;
    // Windows and buffers on the way are full.
    await until(() => {
      const still = sent === before;
      before = sent;
      return still && sent > 0;
    }, 'the upload stands still');
    expect(sent).toBeLessThan(32 * MIB);
    request.destroy();
  });

  it('sends a download whole, also to a client that stops for a while', async () => {
    const response = await fetch(`${gateway.url}/bytes`);
    expect((await response.arrayBuffer()).byteLength).toBe(24 * MIB);
    const slow = await RawConnection.open(gateway.port);
    slow.socket.pause();
    slow.send('GET /bytes HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n');
    // Others on the same connection are not kept waiting.
    for (let round = 0; round < 20; round++) await fetchEcho('/x');
    slow.socket.resume();
    await slow.wait(() => slow.received.length > 24 * MIB, 'the whole download');
    slow.close();
  });

  it('hears at once of a client that has gone', async () => {
    const resets = upstream.resets.length;
    const before = upstream.requests;
    const client = await RawConnection.open(gateway.port);
    client.send('GET /hang HTTP/1.1\r\nHost: a.test\r\n\r\n');
    await until(() => upstream.requests > before, 'the request is there');
    client.reset();
    await until(() => upstream.resets.length > resets, 'the stream is reset');
    expect(upstream.resets.at(-1)).toBe(http2.constants.NGHTTP2_CANCEL);
  });

  it('may answer before it has read the request', async () => {
    const connections = upstream.connections;
    const client = await RawConnection.open(gateway.port);
    client.send('POST /early-answer HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1000000\r\n\r\nbegin');
    expect((await client.answer()).status).toBe(403);
    client.close();
    await fetchEcho('/x');
    expect(upstream.connections - connections).toBeLessThanOrEqual(1);
  });

  describe('and trailers of a request', () => {
    const chunked = (path: string, trailers: string, fields = '') =>
      `POST ${path} HTTP/1.1\r\nHost: a.test\r\n${fields}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n${trailers}\r\n`;

    const FORBIDDEN = [
      'Host: evil.test',
      'Authorization: evil',
      'X-Forwarded-For: 1.2.3.4',
      'X_Forwarded_For: 1.2.3.4',
      'X-Aya-Consumer: root',
      'X-Consumer-Name: root',
      'Cookie: a=b',
      'If-Match: x',
      '__proto__: evil',
    ];

    it.each(['/', '/one/'])(
      'they go on, without those that could be taken for fields of the head: %s',
      async (path) => {
        const trailers = ['X-Checksum: 42', ...FORBIDDEN, 'X-Checksum: 43'].join('\r\n');
        const { responses } = await ask(gateway.port, chunked(path, `${trailers}\r\n`));
        expect(responses[0]!.status).toBe(200);
        const seen = path === '/' ? upstream.received.at(-1)!.trailers : plain.seen.at(-1)!.trailers;
        expect(seen.map((text) => text.toLowerCase())).toEqual(['x-checksum', '42', 'x-checksum', '43']);
      },
    );

    it.each(['/', '/one/'])('more of them than anybody needs do not: %s', async (path) => {
      const trailers = Array.from({ length: 65 }, (_, at) => `X-${at}: x\r\n`).join('');
      const { responses } = await ask(gateway.port, chunked(path, trailers));
      expect(responses[0]!.status).toBe(200);
      expect(path === '/' ? upstream.received.at(-1)!.trailers : plain.seen.at(-1)!.trailers).toEqual([]);
    });

    it('te: trailers goes on, and nothing else of te', async () => {
      for (const [te, expected] of [
        ['TE: gzip;q=0.5, trailers\r\n', ['trailers']],
        ['TE: gzip\r\n', []],
        ['', []],
      ] as const) {
        const { responses } = await ask(gateway.port, chunked('/', '', te));
        const { fields } = JSON.parse(responses[0]!.text()) as Echoed;
        expect(fields.filter((_, at) => fields[at - 1] === 'te')).toEqual(expected);
      }
    });
  });
});

describe('how many streams an endpoint takes', () => {
  it('is what it says: further requests go over further connections, and then wait', async () => {
    let open = 0;
    let most = 0;
    const waiting: (() => void)[] = [];
    const upstream = await startHttp2Upstream(
      'narrow',
      (stream) => {
        most = Math.max(most, ++open);
        waiting.push(() => {
          open--;
          stream.respond({ ':status': 200, 'content-length': 2 });
          stream.end('ok');
        });
      },
      { settings: { maxConcurrentStreams: 1 } },
    );
    const gateway = await gatewayFixture({
      files: {
        'narrow.yaml': {
          pools: { narrow: { endpoints: [upstream.url], http2: true, connections: { max: 3, pending: 2 } } },
          routes: [{ name: 'narrow', pool: 'narrow', retry: false }],
        },
      },
    });
    const first = fetch(gateway.url);
    await until(() => open === 1, 'the first is there');
    const others = Array.from({ length: 6 }, () => fetch(gateway.url).then(({ status }) => status));
    await until(() => open === 3, 'three are there');
    const refused = await Promise.race(others);
    expect(refused).toBe(503);
    const finish = setInterval(() => waiting.splice(0).forEach((answer) => answer()), 5);
    const statuses = [(await first).status, ...(await Promise.all(others))].sort();
    clearInterval(finish);
    expect(statuses.filter((status) => status === 200).length).toBeGreaterThanOrEqual(5);
    expect(most).toBe(3);
    expect(upstream.connections).toBe(3);
  });
});

describe.skipIf(!hasOpenssl('test/scenarios/http2-upstreams.test.ts'))('an https endpoint with http2: true', () => {
  let certificates: Certificates;
  const keys = () => ({ key: certificates.pem('server', 'key'), cert: certificates.pem('server') });
  const pool = (url: string, more: object = {}) => ({
    pools: { secured: { endpoints: [url], http2: true, tls: { ca: certificates.file('ca.pem') }, ...more } },
    routes: [{ name: 'secured', pool: 'secured', timeout: { head: '2s' } }],
  });

  beforeAll(() => {
    certificates = new Certificates();
    certificates.authority('ca');
    certificates.issue('server', { altNames: 'DNS:localhost' });
  });

  it('agrees by ALPN, resumes, and is asked about its health in the same way', async () => {
    const upstream = await startHttp2Upstream(
      'secured',
      byPath({
        healthz: (stream) => stream.respond({ ':status': 200 }, { endStream: true }),
        misdirected: (stream) => stream.respond({ ':status': 421 }, { endStream: true }),
      }),
      { tls: keys() },
    );
    const gateway = await gatewayFixture({
      files: {
        'secured.yaml': pool(upstream.url, {
          connections: { maxRequests: 1 },
          health: { active: { path: '/healthz', interval: '50ms' } },
        }),
      },
    });
    for (let round = 0; round < 3; round++) {
      const { fields } = (await (await fetch(gateway.url)).json()) as Echoed;
      expect(valueOf(fields, ':scheme')).toBe('https');
    }
    expect((await fetch(`${gateway.url}/misdirected`)).status).toBe(421);
    await until(() => upstream.requests >= 6, 'probes');
    const { body } = await gateway.admin('/pools');
    expect(body).not.toContain('unhealthy');
  });

  it.each([['http/1.1'], [undefined]])('that does not agree is not spoken to: ALPN %s', async (protocol) => {
    let requests = 0;
    const server = tls.createServer({ ...keys(), ...(protocol && { ALPNProtocols: [protocol] }) }, (socket) => {
      socket.on('error', ignore).on('data', () => requests++);
    });
    const { port } = await hold('old', server);
    const gateway = await gatewayFixture({ files: { 'secured.yaml': pool(`https://localhost:${port}`) } });
    const response = await fetch(gateway.url);
    expect([response.status, await response.json()]).toEqual([
      502,
      expect.objectContaining({ error: 'tls_protocol_error' }),
    ]);
    expect(requests).toBe(0);
  });

  it('carries WebSockets over HTTP/1.1, on connections of their own', async () => {
    const upstream = await startHttp2Upstream('both', undefined, { tls: { ...keys(), allowHTTP1: true } });
    upstream.server.on('upgrade', (req: IncomingMessage, socket: Socket) => {
      socket.on('error', ignore).write(Buffer.concat([Buffer.from(agree(req)), frame(TEXT, req.httpVersion)]));
    });
    const gateway = await gatewayFixture({ files: { 'secured.yaml': pool(upstream.url) } });
    expect((await fetch(gateway.url)).status).toBe(200);
    const client = await openSocket(gateway.port, '/x');
    await until(() => client.frames().some(({ payload }) => payload.equals(Buffer.from('1.1'))), 'the greeting');
    client.connection.reset();
    expect(upstream.connections).toBe(2);
  });
});
