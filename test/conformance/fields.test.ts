/** Which fields cross the gateway, which end there, and which it adds. RFC 9110 §7.6, RFC 7239. */
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startFaultyUpstream, type FaultyUpstream } from '../support/faulty-upstream.ts';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';
import { valuesOf } from '../support/http1.ts';
import { ask, RawConnection, request, type RawResponse } from '../support/raw-client.ts';

let origin: FaultyUpstream;
let gateway: GatewayFixture;
let trusting: GatewayFixture;

beforeAll(async () => {
  origin = await startFaultyUpstream('origin');
  const files = {
    'origin.yaml': {
      pools: { origin: { endpoints: [origin.url], health: { passive: false } } },
      routes: [{ name: 'all', match: { path: '/t/*' }, pool: 'origin' }],
    },
  };
  gateway = await gatewayFixture({ gateway: { accessLog: { enabled: false } }, files });
  trusting = await gatewayFixture({
    gateway: { accessLog: { enabled: false }, trustedProxies: ['127.0.0.0/8'] },
    files,
  });
});

beforeEach(() => origin.clear());

/** Sends a GET with these fields; what the upstream saw of it. */
async function forward(fields: readonly string[], through = gateway): Promise<(name: string) => string[]> {
  const { responses } = await ask(through.port, request('GET', '/t', 'any.test:8080', fields));
  expect(responses[0]?.status).toBe(200);
  return (name) => valuesOf(origin.seen[0]!.fields, name);
}

async function answerTo(path: string, fields: readonly string[] = []): Promise<RawResponse> {
  const { responses } = await ask(gateway.port, request('GET', `/t/${path}`, 'any.test', fields));
  return responses[0]!;
}

describe('towards the upstream', () => {
  it('end-to-end fields arrive in their order, with duplicates and case', async () => {
    await forward(['X-One: 1', 'x-Two: a', 'X-TWO: b', 'Accept: */*', 'Cookie: a=1', 'Cookie: b=2']);
    const { fields } = origin.seen[0]!;
    const names = fields.filter((_, at) => at % 2 === 0);
    expect(names.filter((name) => /^x-(one|two)$/i.test(name))).toEqual(['X-One', 'x-Two', 'X-TWO']);
    expect(valuesOf(fields, 'x-two')).toEqual(['a', 'b']);
    expect(valuesOf(fields, 'cookie').join('; ')).toBe('a=1; b=2');
  });

  it.each([
    'Keep-Alive: timeout=5',
    'Proxy-Connection: keep-alive',
    'Proxy-Authorization: Basic Zm9v',
    'TE: gzip',
    'Upgrade: nonsense',
    'Trailer: X-T',
  ])('a hop-by-hop field ends at the gateway: %s', async (line) => {
    const seen = await forward([line]);
    expect(seen(line.split(':')[0]!.toLowerCase())).toEqual([]);
  });

  it('what Connection names ends at the gateway, with Connection itself', async () => {
    const seen = await forward(['Connection: X-Hop, x-OTHER-hop', 'X-Hop: 1', 'X-Other-Hop: 2', 'X-Kept: 3']);
    expect([...seen('x-hop'), ...seen('x-other-hop')]).toEqual([]);
    expect(seen('x-kept')).toEqual(['3']);
    expect(seen('connection').join()).not.toMatch(/hop/i);
  });

  it('naming the gateway’s own fields in Connection does not keep them from arriving', async () => {
    const own = [
      'X-Forwarded-For',
      'X-Forwarded-Proto',
      'X-Forwarded-Host',
      'X-Forwarded-Port',
      'Forwarded',
      'Via',
      'X-Request-Id',
      'Host',
    ];
    const seen = await forward([`Connection: close, ${own.join(', ')}, Content-Length, Transfer-Encoding`]);
    for (const name of own) expect(seen(name.toLowerCase()), name).toHaveLength(1);
  });

  it('the host arrives as the client wrote it, once and first', async () => {
    const seen = await forward([]);
    expect(seen('host')).toEqual(['any.test:8080']);
    expect(origin.seen[0]!.fields[0]?.toLowerCase()).toBe('host');
  });

  it('an absolute target decides the host, whatever the Host field says', async () => {
    await ask(gateway.port, 'GET http://target.test/t HTTP/1.1\r\nHost: field.test\r\n\r\n');
    expect(valuesOf(origin.seen[0]!.fields, 'host')).toEqual(['target.test']);
    expect(origin.seen[0]!.target).toBe('/t');
    expect(valuesOf(origin.seen[0]!.fields, 'x-forwarded-host')).toEqual(['target.test']);
  });

  it('says who asked, over what, and through whom', async () => {
    const seen = await forward([]);
    expect(seen('x-forwarded-for')).toEqual(['127.0.0.1']);
    expect(seen('x-forwarded-proto')).toEqual(['http']);
    expect(seen('x-forwarded-host')).toEqual(['any.test:8080']);
    expect(seen('x-forwarded-port')).toHaveLength(1);
    expect(seen('forwarded')[0]).toMatch(/for="?127\.0\.0\.1/i);
    expect(seen('forwarded')[0]).toMatch(/host="any\.test:8080"/i);
    expect(seen('via')[0]).toMatch(/^1\.1 \S+$/);
    expect(seen('x-request-id')[0]).toMatch(/^\S{8,}$/);
  });

  it('a request id is different each time', async () => {
    const first = (await forward([]))('x-request-id');
    origin.clear();
    expect((await forward([]))('x-request-id')).not.toEqual(first);
  });

  it.each([
    ['X-Forwarded-For: 1.2.3.4', 'x-forwarded-for'],
    ['X-Forwarded-Proto: https', 'x-forwarded-proto'],
    ['X-Forwarded-Host: evil.test', 'x-forwarded-host'],
    ['X-Forwarded-Port: 1', 'x-forwarded-port'],
    ['Forwarded: for=1.2.3.4;host=evil.test', 'forwarded'],
    ['X-Request-Id: chosen-by-client', 'x-request-id'],
  ])('a stranger’s claim is replaced by ours: %s', async (line, name) => {
    const seen = await forward([line]);
    expect(seen(name)).toHaveLength(1);
    expect(seen(name)[0]).not.toContain(line.slice(line.indexOf(':') + 2));
  });

  it('a stranger’s X-Real-IP does not arrive as it was', async () => {
    expect((await forward(['X-Real-IP: 1.2.3.4']))('x-real-ip')).not.toContain('1.2.3.4');
  });

  it('a trusted proxy’s claims are believed and continued', async () => {
    const seen = await forward(
      [
        'X-Forwarded-For: 203.0.113.7',
        'X-Forwarded-Proto: https',
        'X-Forwarded-Host: shop.test',
        'X-Request-Id: from-the-edge',
      ],
      trusting,
    );
    expect(seen('x-forwarded-for')).toEqual(['203.0.113.7, 127.0.0.1']);
    expect(seen('x-forwarded-proto')).toEqual(['https']);
    expect(seen('x-forwarded-host')).toEqual(['shop.test']);
    expect(seen('x-request-id')).toEqual(['from-the-edge']);
  });

  it.each([['x'.repeat(10_000)], ['two words'], ['quote"d'], ['semi;colon,']])(
    'even a trusted request id is replaced when it is no safe word: %.20s',
    async (id) => {
      const seen = await forward([`X-Request-Id: ${id}`], trusting);
      expect(seen('x-request-id')).toHaveLength(1);
      expect(seen('x-request-id')[0]).not.toBe(id);
    },
  );

  it('Via is continued, not replaced', async () => {
    const seen = await forward(['Via: 1.0 edge']);
    expect(seen('via').join(', ')).toMatch(/^1\.0 edge, 1\.1 \S+$/);
  });

  it.each(['X-Aya-Consumer: root', 'X-Aya-Principal: root', 'x-aya-anything: 1'])(
    'what only the gateway may say is taken from the client: %s',
    async (line) => {
      expect((await forward([line]))(line.split(':')[0]!.toLowerCase())).toEqual([]);
    },
  );

  it.each(['X_Forwarded_For: 1.2.3.4', 'X_Any: 1'])('a name with an underscore is dropped: %s', async (line) => {
    expect((await forward([line]))(line.split(':')[0]!.toLowerCase())).toEqual([]);
  });

  it('h2c is not negotiated: no upgrade is forwarded, none is answered', async () => {
    const fields = ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA'];
    const seen = await forward(fields);
    expect([...seen('upgrade'), ...seen('http2-settings')]).toEqual([]);
  });

  it('a WebSocket handshake that the upstream answers with 200 opens no tunnel', async () => {
    const connection = await RawConnection.open(gateway.port);
    const fields = [
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 777',
      'Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==',
    ];
    connection.send(request('GET', '/t', 'any.test', fields));
    const first = await connection.answer();
    expect(first.status).not.toBe(101);
    connection.send(request('GET', '/guarded', 'any.test'));
    await connection.answer().then(
      (second) => expect(second.status).toBe(404),
      () => expect(connection.closed).not.toBe('open'),
    );
    expect(origin.seen.map(({ target }) => target)).not.toContain('/guarded');
    connection.close();
  });
});

describe('TRACE', () => {
  it('echoes nothing and is not forwarded', async () => {
    const { responses } = await ask(gateway.port, request('TRACE', '/t', 'any.test', ['Cookie: secret']));
    expect([405, 501]).toContain(responses[0]?.status);
    expect(responses[0]?.text()).not.toContain('secret');
    expect(origin.seen).toEqual([]);
  });
});

describe('Expect', () => {
  it('100-continue is answered by the gateway, then the request goes on without it', async () => {
    const connection = await RawConnection.open(gateway.port);
    connection.send('POST /t HTTP/1.1\r\nHost: any.test\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n');
    await connection.wait(() => connection.read().interim.length > 0, 'the 100');
    expect(connection.read().interim[0]?.status).toBe(100);
    connection.send('body');
    expect((await connection.answer()).status).toBe(200);
    expect(origin.seen[0]?.body.toString()).toBe('body');
    expect(valuesOf(origin.seen[0]!.fields, 'expect')).toEqual([]);
    connection.close();
  });

  it('100-continue for a request that is refused gets the refusal, not the go-ahead', async () => {
    const connection = await RawConnection.open(gateway.port);
    connection.send('POST /nowhere HTTP/1.1\r\nHost: any.test\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n');
    expect((await connection.answer()).status).toBe(404);
    expect(connection.read().interim).toEqual([]);
    connection.close();
  });

  it.each(['200-ok', '100-continu', 'x'])('anything else is 417: %s', async (expectation) => {
    const { responses } = await ask(
      gateway.port,
      request('POST', '/t', 'any.test', [`Expect: ${expectation}`], 'body'),
    );
    expect(responses.at(-1)?.status).toBe(417);
    expect(origin.seen).toEqual([]);
  });

  it.each([
    ['Expect: 100-continue', 'Expect: 100-continue'],
    ['Expect: 100-continue, 200-ok', 'X-A: 1'],
    ['Expect:  100-CONTINUE', 'X-A: 1'],
  ])('100-continue twice, or in a crowd, is met or refused, never 500: %s', async (...fields) => {
    const { responses } = await ask(gateway.port, request('POST', '/t', 'any.test', fields, 'body'));
    expect([200, 400, 417]).toContain(responses[0]?.status);
  });
});

describe('towards the client', () => {
  it('hop-by-hop fields of the upstream end at the gateway', async () => {
    const answer = await answerTo('hop-by-hop');
    expect(answer.text()).toBe('ok');
    for (const name of ['x-secret-hop', 'proxy-authenticate']) expect(answer.field(name), name).toBeUndefined();
    expect(answer.field('keep-alive')).not.toBe('timeout=5');
    expect(answer.field('x-kept')).toBe('1');
  });

  it('Connection: close of the client is honoured', async () => {
    const result = await ask(gateway.port, request('GET', '/t/hop-by-hop', 'any.test', ['Connection: close']), {
      answers: 0,
    });
    expect(result.responses[0]?.field('connection')).toBe('close');
    expect(result.closed).toBe('fin');
  });

  it('early hints are passed on before the answer', async () => {
    const { interim, responses } = await ask(gateway.port, request('GET', '/t/early-hints', 'any.test'));
    expect(interim.map(({ status }) => status)).toEqual([103]);
    expect(interim[0]?.field('link')).toBe('</style.css>; rel=preload');
    expect(responses[0]?.text()).toBe('hinted');
  });

  it('early hints are kept from an HTTP/1.0 client', async () => {
    const { interim, responses } = await ask(gateway.port, 'GET /t/early-hints HTTP/1.0\r\nHost: any.test\r\n\r\n');
    expect(interim).toEqual([]);
    expect(responses[0]?.text()).toBe('hinted');
  });

  it('an HTTP/1.0 client gets a body that the close ends, never chunks', async () => {
    const { responses, closed } = await ask(gateway.port, 'GET /t/trailers HTTP/1.0\r\nHost: any.test\r\n\r\n', {
      answers: 0,
    });
    expect(responses[0]?.framing).not.toBe('chunked');
    expect(responses[0]?.text()).toBe('ok');
    expect(closed).toBe('fin');
  });

  it('trailers arrive behind the body', async () => {
    const answer = await answerTo('trailers', ['TE: trailers']);
    expect(answer.text()).toBe('ok');
    expect(answer.trailers).toEqual(['X-Checksum', '42']);
  });

  it('an answer to HEAD has the length and no body', async () => {
    const connection = await RawConnection.open(gateway.port);
    connection.send(request('HEAD', '/t/x', 'any.test') + request('GET', '/t/y', 'any.test'));
    const answer = await connection.answer('HEAD');
    expect(Number(answer.field('content-length'))).toBeGreaterThan(0);
    expect((await connection.answer()).text()).toContain('/t/y');
    connection.close();
  });

  it.each([
    ['no-content', 204],
    ['not-modified', 304],
  ])('%s has no body and keeps the connection', async (path, status) => {
    const connection = await RawConnection.open(gateway.port);
    connection.send(request('GET', `/t/${path}`, 'any.test') + request('GET', '/t/next', 'any.test'));
    const answer = await connection.answer();
    expect(answer.status).toBe(status);
    expect(answer.field('transfer-encoding')).toBeUndefined();
    expect((await connection.answer()).text()).toContain('/t/next');
    connection.close();
  });

  it('a body that the upstream ends by closing arrives whole', async () => {
    expect((await answerTo('until-close')).text()).toBe('all until the close');
  });

  it('an HTTP/1.0 upstream is understood', async () => {
    expect((await answerTo('http-1.0')).text()).toBe('old');
  });

  it('answers in its own name carry Proxy-Status, a problem document, and nothing internal', async () => {
    const { responses } = await ask(gateway.port, request('GET', '/nowhere', 'any.test'));
    const answer = responses[0]!;
    expect(answer.status).toBe(404);
    expect(answer.field('content-type')).toMatch(/^application\/problem\+json/);
    expect(answer.field('proxy-status')).toMatch(/; ?error=destination_not_found/);
    expect(JSON.parse(answer.text())).toMatchObject({ status: 404 });
    expect(answer.text()).not.toMatch(/127\.0\.0\.1|node:|\.ts|at /);
  });
});
