/** Clients that speak HTTP/2, agreed on in the handshake or from the first byte, have what those of HTTP/1.1 have. */
import { once } from 'node:events';
import { connect as connectTls } from 'node:tls';
import { beforeAll, describe, expect, it } from 'vitest';
import { Certificates, hasOpenssl } from '../support/certificates.ts';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';
import { answerOf, Http2Client } from '../support/http2-client.ts';
import { ask, request } from '../support/raw-client.ts';
import { until, within } from '../support/until.ts';
import { byPath, hang, slow, startUpstream, type Answer, type Echo, type Upstream } from '../support/upstream.ts';

const FILE = 'test/scenarios/http2-to-clients.test.ts';
const HOST = '127.0.0.1';
const MEBIBYTE = Buffer.alloc(1024 * 1024, 'm');

const early: Answer = (_request, response) => void response.writeHead(403).end('no');
const trailing: Answer = (_request, response) => {
  response.writeHead(200, { trailer: 'x-sum' });
  response.write('all of it');
  response.addTrailers({ 'x-sum': '9' });
  response.end();
};
const interim: Answer = (_request, response) => {
  response.writeEarlyHints({ link: '</a.css>; rel=preload' }, () => response.end('page'));
};
const big: Answer = (_request, response) => void response.end(MEBIBYTE);
const endless: Answer = (_request, response) => {
  const more = () => {
    while (response.write(MEBIBYTE));
  };
  response.on('drain', more);
  more();
};
const broken: Answer = (_request, response) => {
  response.writeHead(200, { 'content-length': '10' });
  response.write('half', () => response.socket!.resetAndDestroy());
};
const crumbs: Answer = (_request, response) => {
  response.setHeader('set-cookie', ['a=1', 'b=2']);
  response.setHeader('Keep-Alive', 'timeout=5');
  response.end('x');
};

let upstream: Upstream;
let gateway: GatewayFixture;
let url = '';
let few = '';
let patient = '';
let closed = 0;

const echoOf = ({ body }: { readonly body: Buffer }) => JSON.parse(body.toString()) as Echo;

beforeAll(async () => {
  upstream = await startUpstream(
    'users',
    byPath({ early, trailing, interim, big, endless, broken, crumbs, hang, slow: slow(150) }),
  );
  const at = (limits: object, http2: object | false = {}) => ({ host: HOST, port: 0, limits, http2 });
  gateway = await gatewayFixture({
    gateway: {
      listen: [
        at({ headersTimeout: '1s', keepAlive: '60s' }),
        at({ maxRequestsPerConnection: 3 }, { maxStreams: 2 }),
        at({ keepAlive: '300ms', headersTimeout: '300ms' }),
        at({}, false),
      ],
    },
    files: {
      'users.yaml': {
        pools: { users: { endpoints: [upstream.url], health: { passive: false } } },
        routes: [
          { name: 'users', pool: 'users', limits: { body: '2MiB' }, timeout: { idle: '2s' } },
          { name: 'tight', match: { path: '/tight' }, pool: 'users', limits: { body: '1KiB' } },
          { name: 'moved', match: { path: '/moved' }, redirect: { to: 'https://b.test/' } },
          { name: 'known', match: { path: '/known' }, pool: 'users', auth: { apiKey: {} } },
        ],
      },
    },
  });
  const [first = 0, second = 0, third = 0, fourth = 0] = gateway.ports;
  [url, few, patient, closed] = [
    `http://${HOST}:${first}`,
    `http://${HOST}:${second}`,
    `http://${HOST}:${third}`,
    fourth,
  ];
});

describe('a request', () => {
  it('reaches the upstream as one of HTTP/1.1: host for :authority, one cookie, who asked', async () => {
    const client = await Http2Client.connect(url);
    const fields = [':authority', 'api.test:8080', 'cookie', 'a=1', 'cookie', 'b=2', 'x-twice', '1', 'x-twice', '2'];
    const { status, headers, body } = await client.ask('/a?b=c', fields);
    expect(status).toBe(200);
    expect(headers).not.toHaveProperty('connection');
    expect(headers).not.toHaveProperty('keep-alive');
    const seen = echoOf({ body });
    expect(seen).toMatchObject({ method: 'GET', target: '/a?b=c' });
    expect(upstream.seen.at(-1)!.fields.join('\n')).toMatch(/^host\napi\.test:8080\n/i);
    expect(upstream.seen.at(-1)!.fields).toEqual(expect.arrayContaining(['cookie', 'a=1; b=2', 'via', '2.0 aya']));
  });

  it.each(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])('may be a %s, with a body', async (method) => {
    const client = await Http2Client.connect(url);
    const { status, body } = await client.ask('/m', [':method', method], 'twelve bytes');
    expect({ status, seen: echoOf({ body }) }).toMatchObject({ status: 200, seen: { method, body: 'twelve bytes' } });
  });

  it('may be a HEAD', async () => {
    const client = await Http2Client.connect(url);
    const { status, headers, body } = await client.ask('/x', [':method', 'HEAD']);
    expect([status, Number(headers['content-length']) > 0, body.length]).toEqual([200, true, 0]);
  });

  it('may bring a large body, and take a large one, many at a time', async () => {
    const client = await Http2Client.connect(url);
    const answers = await Promise.all([
      ...Array.from({ length: 8 }, () => client.ask('/big')),
      ...Array.from({ length: 4 }, () => client.ask('/up', [':method', 'POST'], MEBIBYTE)),
    ]);
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    expect(answers.slice(0, 8).every(({ body }) => body.equals(MEBIBYTE))).toBe(true);
    expect(answers.slice(8).every((answer) => echoOf(answer).body.length === MEBIBYTE.length)).toBe(true);
  });

  it('may end with trailers', async () => {
    const client = await Http2Client.connect(url);
    const head = { ':method': 'POST', ':path': '/sum', te: 'trailers' };
    const stream = client.session.request(head, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '12', authorization: 'Bearer forged' }));
    stream.end('twelve bytes');
    expect((await answerOf(stream)).status).toBe(200);
    expect(upstream.seen.at(-1)).toMatchObject({ body: Buffer.from('twelve bytes'), trailers: ['x-sum', '12'] });
  });

  it('that expects to be asked for its body is asked, once it may pass', async () => {
    const client = await Http2Client.connect(url);
    const stream = client.open([':method', 'POST', ':path', '/x', 'expect', '100-continue']);
    const answer = answerOf(stream);
    stream.once('continue', () => stream.end('now'));
    expect(echoOf(await answer).body).toBe('now');
    const refused = await answerOf(client.open([':method', 'POST', ':path', '/known', 'expect', '100-continue']));
    expect([refused.status, refused.interim]).toEqual([401, []]);
  });

  it.each([
    ['no route answers', ['/x', [':authority', 'nowhere.test']], 200],
    ['a plugin answers', ['/moved', []], 302],
    ['a plugin refuses', ['/known', []], 401],
    ['is larger than its route allows', ['/tight', [':method', 'POST'], MEBIBYTE], 413],
    ['climbs out of its root', ['/../x', []], 400],
    ['names two hosts', ['/x', [':authority', 'a.test', 'host', 'b.test']], 400],
    ['wants a tunnel', ['/x', [':method', 'TRACE']], 405],
    ['has a method that nobody knows', ['/x', [':method', 'BREW']], 501],
    ['has too many fields', ['/x', Array.from({ length: 220 }, (_, at) => (at % 2 ? '1' : `x-${at}`))], 431],
  ] as const)('that %s is told so, and its connection goes on', async (_, [path, fields, body], expected) => {
    const client = await Http2Client.connect(url);
    const { status, headers } = await client.ask(path, fields as readonly string[], body);
    expect(status).toBe(expected);
    if (status >= 400) expect(headers['content-type']).toBe('application/problem+json');
    expect((await client.ask('/after')).status).toBe(200);
    expect(client.goaways).toEqual([]);
  });
});

describe('an answer', () => {
  it('has its trailers', async () => {
    const { body, trailers } = await (await Http2Client.connect(url)).ask('/trailing');
    expect([body.toString(), trailers?.['x-sum']]).toEqual(['all of it', '9']);
  });

  it('has its interim answers before it', async () => {
    const { status, interim: before } = await (await Http2Client.connect(url)).ask('/interim');
    expect([before, status]).toEqual([[103], 200]);
  });

  it('has none of the fields that are for one connection of HTTP/1.1, and each of those that are repeated', async () => {
    const { headers } = await (await Http2Client.connect(url)).ask('/crumbs');
    expect(headers['set-cookie']).toEqual(['a=1', 'b=2']);
    expect(headers).not.toHaveProperty('keep-alive');
  });

  it('that comes before the body has been sent is whole, and the rest is not wanted', async () => {
    const client = await Http2Client.connect(url);
    const stream = client.open([':method', 'POST', ':path', '/early']);
    const answer = answerOf(stream);
    stream.write('some');
    expect(await answer).toMatchObject({ status: 403, code: 0, body: Buffer.from('no') });
    expect((await client.ask('/after')).status).toBe(200);
  });

  it('that the upstream breaks off is seen to be broken', async () => {
    const client = await Http2Client.connect(url);
    const { status, code } = await client.ask('/broken');
    expect([status, code]).toEqual([200, 2]);
    expect((await client.ask('/after')).status).toBe(200);
  });

  it('that nobody takes is not read from the upstream, and given up', async () => {
    const client = await Http2Client.connect(url);
    const stream = client.open([':path', '/endless']);
    await within(once(stream, 'response'), 'the head');
    const code = new Promise((resolve) => stream.on('close', () => resolve(stream.rstCode)));
    expect(await within(code, 'the reset')).toBe(2);
    expect((await client.ask('/after')).status).toBe(200);
  });
});

describe('a client', () => {
  it('that resets its request is not waited for', async () => {
    const client = await Http2Client.connect(url);
    upstream.clear();
    const stream = client.open([':path', '/hang']);
    await until(() => upstream.requests === 1 || undefined, 'the request');
    stream.close(8);
    await until(() => upstream.aborted === 1 || undefined, 'the upstream to hear of it');
    expect((await client.ask('/after')).status).toBe(200);
  });

  it('that leaves ends all that it has asked', async () => {
    const client = await Http2Client.connect(url);
    upstream.clear();
    for (let at = 0; at < 5; at++) client.open([':path', '/hang']);
    await until(() => upstream.requests === 5 || undefined, 'the requests');
    client.session.destroy();
    await until(() => upstream.aborted === 5 || undefined, 'the upstream to hear of it');
  });

  it('asks no more at once than it may', async () => {
    const client = await Http2Client.connect(few);
    const answers = await Promise.all([client.ask('/slow'), client.ask('/slow'), client.ask('/slow')]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
  });

  it('is told to go when it has asked as often as it may, and what is under way is answered', async () => {
    const client = await Http2Client.connect(few);
    const answers = [await client.ask('/1'), ...(await Promise.all([client.ask('/slow'), client.ask('/slow')]))];
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    await until(() => client.isClosed || undefined, 'the end of the connection');
    expect(client.goaways.every((code) => code === 0)).toBe(true);
  });

  it('is let go when it is idle', async () => {
    const client = await Http2Client.connect(patient);
    expect((await client.ask('/x')).status).toBe(200);
    await until(() => client.isClosed || undefined, 'the end of the connection');
    expect(client.goaways).toContain(0);
  });

  it('that resets more than it may is shut out', async () => {
    const client = await Http2Client.connect(url);
    for (let at = 0; at < 200 && !client.isClosed; at++) {
      const stream = client.open([':path', '/hang']);
      const reset = new Promise((resolve) => stream.on('close', resolve));
      stream.close(8);
      await reset;
    }
    await until(() => client.isClosed || undefined, 'the end of the connection');
    expect(client.goaways).toEqual([11]);
    expect((await (await Http2Client.connect(url)).ask('/after')).status).toBe(200);
  });

  it('finds no HTTP/2 where it is turned off', async () => {
    const { responses } = await ask(closed, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    expect(responses[0]?.status).toBe(400);
    expect((await ask(closed, request('GET', '/x', 'api.test', ['Connection: close']))).responses[0]?.status).toBe(200);
  });

  it('of HTTP/1.1 is served on the same port', async () => {
    const { responses } = await ask(gateway.port, request('GET', '/x', 'api.test', ['Connection: close']));
    expect(responses[0]?.status).toBe(200);
  });
});

describe.skipIf(!hasOpenssl(FILE))('behind TLS', () => {
  it('the handshake decides, and a drain lets everybody finish', async () => {
    const certificates = new Certificates();
    certificates.authority('ca');
    certificates.issue('api', { altNames: 'DNS:api.test' });
    const pair = { cert: certificates.file('api.pem'), key: certificates.file('api.key') };
    const secured = await gatewayFixture({
      gateway: {
        listen: [
          { host: HOST, port: 0, tls: pair },
          { host: HOST, port: 0, tls: pair, http2: false },
        ],
      },
      files: {
        'users.yaml': {
          pools: { users: { endpoints: [upstream.url], health: { passive: false } } },
          routes: [{ name: 'users', pool: 'users' }],
        },
      },
    });
    const ca = certificates.pem('ca');
    const agreed = async (port: number, ALPNProtocols: string[]) => {
      const socket = connectTls({ host: HOST, port, ca, servername: 'api.test', ALPNProtocols });
      await within(once(socket, 'secureConnect'), 'the handshake');
      socket.destroy();
      return socket.alpnProtocol;
    };
    expect(await agreed(secured.ports[0]!, ['http/1.1', 'h2'])).toBe('h2');
    expect(await agreed(secured.ports[0]!, ['http/1.1'])).toBe('http/1.1');
    expect(await agreed(secured.ports[1]!, ['h2', 'http/1.1'])).toBe('http/1.1');
    const client = await Http2Client.connect(`https://${HOST}:${secured.port}`, { ca, servername: 'api.test' });
    const { fields } = echoOf(await client.ask('/x'));
    expect(fields[fields.indexOf('x-forwarded-proto') + 1]).toBe('https');
    const under = [client.ask('/slow'), client.ask('/slow')];
    upstream.clear();
    await until(() => upstream.requests === 2 || undefined, 'the requests');
    const closing = secured.close();
    expect((await Promise.all(under)).map(({ status }) => status)).toEqual([200, 200]);
    expect(await closing).toMatchObject({ cut: 0 });
    await until(() => client.isClosed || undefined, 'the end of the connection');
  });
});
