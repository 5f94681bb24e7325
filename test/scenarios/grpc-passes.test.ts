/** gRPC through the gateway, with @grpc/grpc-js as the caller and as the service: nobody here wrote either. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Certificates, hasOpenssl } from '../support/certificates.ts';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';
import {
  Caller,
  rawCall,
  SERVING,
  startGrpcServer,
  streamed,
  type GrpcHandlers,
  type GrpcServer,
} from '../support/grpc.ts';
import { receive, startHttp2Upstream, type Http2Upstream } from '../support/http2-upstream.ts';
import { until } from '../support/until.ts';
import { closedPort, ignore, startUpstream, type Upstream } from '../support/upstream.ts';
import { parseGrpcTimeout } from '../../src/grpc/timeout.ts';

const { status } = grpc;
const withTls = hasOpenssl('gRPC over TLS');

/** What the service did with calls that hang. */
const seen = { calls: 0, hanging: 0, cancelled: 0 };

const HANDLERS: GrpcHandlers = {
  unary(call, done) {
    seen.calls++;
    switch (call.request.toString()) {
      case 'hang':
        seen.hanging++;
        call.on('cancelled', () => seen.cancelled++);
        return;
      case 'fail': {
        const metadata = new grpc.Metadata();
        metadata.set('reason-bin', Buffer.from([0, 255, 10]));
        return done({ code: status.FAILED_PRECONDITION, details: 'not yet: ünfertig 100 %', metadata });
      }
      case 'unavailable':
        return done({ code: status.UNAVAILABLE, details: 'busy' });
      case 'metadata': {
        const head = new grpc.Metadata();
        head.set('said', call.metadata.get('x-said')[0] ?? '');
        head.set('said-bin', call.metadata.get('x-said-bin')[0] ?? Buffer.alloc(0));
        call.sendMetadata(head);
        const trailers = new grpc.Metadata();
        trailers.set('took-bin', Buffer.from([1, 2, 3]));
        return done(null, Buffer.from(call.metadata.get('x-aya-consumer').join()), trailers);
      }
      default:
        return done(null, call.request);
    }
  },
  download(call) {
    if (call.request.toString() === 'late') {
      call.write(Buffer.from('first'));
      seen.hanging++;
      call.on('cancelled', () => seen.cancelled++);
      return;
    }
    for (let at = 0; at < 100; at++) call.write(Buffer.from(`${call.request.toString()} ${at}`));
    call.end();
  },
  both(call) {
    call.on('data', (message: Buffer) => {
      if (message.toString() === 'enough') call.emit('error', { code: status.ABORTED, details: 'enough' });
      else call.write(message);
    });
    call.on('end', () => call.end());
  },
  check: (_call, done) => done(null, SERVING),
};

const route = (name: string, grpcMatch: string, more: object = {}) => ({
  name,
  match: { grpc: grpcMatch },
  pool: 'echo',
  rewrite: { prefix: '/test.Echo' },
  ...more,
});

let server: GrpcServer;
let web: Upstream;
/** Speaks HTTP/2 and no gRPC. */
let html: Http2Upstream;
let gateway: GatewayFixture;
let caller: Caller;
let files: Certificates;

async function routesFile(more: readonly object[] = []) {
  return {
    pools: {
      echo: { http2: true, endpoints: [server.url], health: { active: { grpc: true }, passive: false } },
      gone: { http2: true, endpoints: [`http://127.0.0.1:${await closedPort()}`] },
      web: { endpoints: [web.url] },
      html: { http2: true, endpoints: [html.url] },
    },
    routes: [
      { name: 'web', pool: 'web' },
      { name: 'echo', match: { grpc: 'test.Echo' }, pool: 'echo' },
      { name: 'gone', match: { grpc: 'test.Gone' }, pool: 'gone' },
      { name: 'html', match: { grpc: 'test.Html' }, pool: 'html' },
      { name: 'html-short', match: { grpc: 'test.HtmlShort' }, pool: 'html', timeout: { total: '3s' } },
      route('short', 'test.Short', { timeout: { total: '150ms' } }),
      route('guarded', 'test.Guarded', { auth: { apiKey: { header: 'x-api-key' } } }),
      route('limited', 'test.Limited', { rateLimit: { max: 1, per: '1h', by: 'route' } }),
      route('small', 'test.Small', { limits: { body: '1KiB' } }),
      route('quiet', 'test.Quiet', { timeout: { streamIdle: '300ms' } }),
      ...more,
    ],
  };
}

beforeAll(async () => {
  server = await startGrpcServer(HANDLERS);
  web = await startUpstream('web');
  html = await startHttp2Upstream('html', (stream, path, upstream) => {
    if (path.endsWith('Hang')) return;
    if (path.endsWith('Late')) {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
      stream.write('first');
      return;
    }
    void receive(stream, upstream).then(() => {
      stream.respond({ ':status': 502, 'content-type': 'text/html' });
      stream.end('<h1>Bad Gateway</h1>');
    }, ignore);
  });
  files = new Certificates();
  if (withTls) {
    files.authority('ca');
    files.issue('gateway', { altNames: 'DNS:localhost' });
  }
  const tls = { cert: files.file('gateway.pem'), key: files.file('gateway.key') };
  gateway = await gatewayFixture({
    gateway: {
      listen: [{ host: '127.0.0.1', port: 0 }, ...(withTls ? [{ host: '127.0.0.1', port: 0, tls }] : [])],
      accessLog: { file: 'access.log' },
    },
    files: { 'routes.yaml': await routesFile() },
  });
  caller = new Caller(gateway.port);
});

beforeEach(() => {
  seen.hanging = 0;
  seen.cancelled = 0;
  seen.calls = 0;
  html.resets.length = 0;
});

/** Waits for a line of the access log that says this. */
async function logged(expected: Readonly<Record<string, unknown>>): Promise<void> {
  const says = (line: string) => {
    const fields = JSON.parse(line) as Record<string, unknown>;
    return Object.entries(expected).every(([name, value]) => fields[name] === value);
  };
  const found = async () => {
    const lines = await readFile(join(gateway.dir, 'access.log'), 'utf8');
    return lines.split('\n').some((line) => line !== '' && says(line));
  };
  await until(found, `a line that says ${JSON.stringify(expected)}`);
}

describe('calls pass', () => {
  test('with one message each way', async () => {
    const { code, answer } = await caller.unary('hello');
    expect([code, answer?.toString()]).toEqual([status.OK, 'hello']);
  });

  test('with a stream of answers', async () => {
    const { messages, code } = await streamed(caller.download('n'));
    expect(code).toBe(status.OK);
    expect(messages.map(String)).toEqual(Array.from({ length: 100 }, (_, at) => `n ${at}`));
  });

  test('with a stream of questions', async () => {
    const answer = await new Promise<Buffer | undefined>((resolve, reject) => {
      const call = caller.upload((error, value) => (error === null ? resolve(value) : reject(error)));
      for (let at = 0; at < 100; at++) call.write(Buffer.from('x'));
      call.end();
    });
    expect(answer?.toString()).toBe('x'.repeat(100));
  });

  test('with both at once, each message as it comes', async () => {
    const call = caller.both();
    const heard: string[] = [];
    call.on('data', (message: Buffer) => heard.push(message.toString()));
    for (const word of ['one', 'two', 'three']) {
      call.write(Buffer.from(word));
      await until(() => heard.at(-1) === word, `${word} came back`);
    }
    const ended = new Promise<grpc.StatusObject>((resolve) => call.on('status', resolve));
    call.end();
    expect((await ended).code).toBe(status.OK);
    expect(heard).toEqual(['one', 'two', 'three']);
  });

  test('and end when the service says so, also while the caller has more to say', async () => {
    const call = caller.both();
    const ended = streamed(call);
    call.write(Buffer.from('one'));
    call.write(Buffer.from('enough'));
    expect(await ended).toMatchObject({ messages: [Buffer.from('one')], code: status.ABORTED, details: 'enough' });
  });

  test('with metadata both ways, in text and in bytes, before and behind', async () => {
    const metadata = new grpc.Metadata();
    metadata.set('x-said', 'as text');
    metadata.set('x-said-bin', Buffer.from([0, 1, 254, 255]));
    const { head, trailers, code } = await caller.unary('metadata', { metadata });
    expect(code).toBe(status.OK);
    expect(head?.get('said')).toEqual(['as text']);
    expect(head?.get('said-bin')).toEqual([Buffer.from([0, 1, 254, 255])]);
    expect(trailers.get('took-bin')).toEqual([Buffer.from([1, 2, 3])]);
  });

  test('with the service’s error, its words and what it adds', async () => {
    const { code, details, trailers } = await caller.unary('fail');
    expect([code, details]).toEqual([status.FAILED_PRECONDITION, 'not yet: ünfertig 100 %']);
    expect(trailers.get('reason-bin')).toEqual([Buffer.from([0, 255, 10])]);
  });

  test('with messages of 4 MiB, which no limit of bodies holds up', async () => {
    const message = Buffer.alloc(4 * 1024 ** 2, 'm');
    const { code, answer } = await caller.unary(message);
    expect(code).toBe(status.OK);
    expect(answer?.equals(message)).toBe(true);
  });

  test('five hundred at once, on one connection', async () => {
    const before = await connectionsOpened();
    const answers = await Promise.all(Array.from({ length: 500 }, (_, at) => caller.unary(`call ${at}`)));
    expect(answers.map(({ answer }) => answer?.toString())).toEqual(answers.map((_, at) => `call ${at}`));
    expect((await connectionsOpened()) - before).toBe(0);
  });

  test.skipIf(!withTls)('over TLS', async () => {
    const credentials = grpc.credentials.createSsl(Buffer.from(files.pem('ca')));
    const secure = new Caller(gateway.ports[1]!, credentials, { 'grpc.ssl_target_name_override': 'localhost' });
    expect((await secure.unary('secret')).answer?.toString()).toBe('secret');
    const { messages } = await streamed(secure.download('n'));
    expect(messages).toHaveLength(100);
  });
});

async function connectionsOpened(): Promise<number> {
  const { body } = await gateway.admin('/metrics');
  return Number(/^aya_connections_opened_total\{side="downstream"\} (\d+)/m.exec(body)?.[1]);
}

describe('what the gateway says itself is a status', () => {
  const outcomes: Record<string, unknown>[] = [];

  test.each([
    ['without a credential', '/test.Guarded/Unary', status.UNAUTHENTICATED, 401],
    ['without an endpoint that can be reached', '/test.Gone/Unary', status.UNAVAILABLE, 502],
    ['beyond a limit of size', '/test.Small/Unary', status.RESOURCE_EXHAUSTED, 413],
  ] as const)('%s', async (_, path, expected, httpStatus) => {
    const { code, details, answer } = await caller.unary(Buffer.alloc(5000), { path });
    expect([status[code], answer]).toEqual([status[expected], undefined]);
    expect(details).not.toBe('');
    outcomes.push({ path, status: httpStatus, grpcStatus: status[expected] });
  });

  test('the log has it beside what HTTP would have said', async () => {
    expect(outcomes).toHaveLength(3);
    for (const outcome of outcomes) await logged(outcome);
  });

  test('beyond a limit of rate, which clients do not try again by themselves', async () => {
    expect((await caller.unary('one', { path: '/test.Limited/Unary' })).code).toBe(status.OK);
    const { code } = await caller.unary('two', { path: '/test.Limited/Unary' });
    expect(status[code]).toBe('RESOURCE_EXHAUSTED');
  });

  test('for a service that no route knows, where nothing else takes the call', async () => {
    const bare = await gatewayFixture({ files: { 'a.yaml': { routes: [] } } });
    expect(status[(await new Caller(bare.port).unary('x')).code]).toBe('UNIMPLEMENTED');
  });

  test('for a deadline that cannot be read', async () => {
    const answer = await rawCall(gateway.port, '/test.Echo/Unary', { 'grpc-timeout': 'soon' });
    expect(answer.head).toMatchObject({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '13' });
    expect(answer.frames).toBe(0);
    expect(seen.calls).toBe(0);
  });

  test('and HTTP for all who do not speak gRPC', async () => {
    const response = await fetch(`${gateway.url}/test.Guarded/Unary`, { method: 'POST', body: 'x' });
    // No call, so the route that takes all the rest has it.
    expect(response.status).toBe(200);
  });

  test('while what stands between and is no gRPC passes as it is: clients have a rule for that', async () => {
    const answer = await rawCall(gateway.port, '/test.Html/Unary', {});
    expect(answer.head).toMatchObject({ ':status': 502, 'content-type': 'text/html' });
    expect(status[(await caller.unary('x', { path: '/test.Html/Unary' })).code]).toBe('UNAVAILABLE');
  });
});

describe('deadlines', () => {
  test('go on to the service as what is left of them, or less where the route allows less', async () => {
    const told = async (path: string, timeout: string) => {
      await rawCall(gateway.port, path, { 'grpc-timeout': timeout });
      const { fields } = html.received.at(-1)!;
      return parseGrpcTimeout(fields[fields.indexOf('grpc-timeout') + 1]!);
    };
    for (const [path, timeout, mostMs] of [
      ['/test.Html/Unary', '9999999u', 10_000],
      ['/test.HtmlShort/Unary', '2S', 2_000],
      ['/test.HtmlShort/Unary', '1H', 3_000],
    ] as const) {
      const leftMs = await told(path, timeout);
      expect(leftMs).toBeLessThan(mostMs);
      expect(leftMs).toBeGreaterThan(mostMs - 1_000);
    }
  });

  test('end a call that nobody answers, on both sides', async () => {
    const answer = await rawCall(gateway.port, '/test.Html/Hang', { 'grpc-timeout': '100m' });
    expect(answer.head).toMatchObject({ ':status': 200, 'grpc-status': '4' });
    await until(() => html.resets.length === 1, 'the service hears of it');
    await logged({ path: '/test.Html/Hang', status: 504, grpcStatus: 'DEADLINE_EXCEEDED' });
  });

  test('end an answer that has begun with a status behind it', async () => {
    const answer = await rawCall(gateway.port, '/test.Html/Late', { 'grpc-timeout': '100m' });
    expect(answer.head).toMatchObject({ ':status': 200 });
    expect([answer.frames, answer.trailers['grpc-status']]).toEqual([1, '4']);
    await until(() => html.resets.length === 1, 'the service hears of it');
  });

  test('are at most what the route allows', async () => {
    const { code } = await caller.unary('hang', { path: '/test.Short/Unary', deadline: Date.now() + 60_000 });
    expect(status[code]).toBe('DEADLINE_EXCEEDED');
    await until(() => seen.cancelled === 1, 'the service hears of it');
  });

  test('silence ends a stream, and any message in either direction is none', async () => {
    const call = caller.both({ path: '/test.Quiet/Both' });
    const ended = streamed(call);
    for (let at = 0; at < 6; at++) {
      call.write(Buffer.from('still here'));
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    const { messages, code } = await ended;
    expect(messages).toHaveLength(6);
    expect(status[code]).toBe('DEADLINE_EXCEEDED');
  });
});

describe('a caller that cancels', () => {
  test('ends the call at the service within moments', async () => {
    let call: grpc.ClientUnaryCall | undefined;
    const answer = caller.unary('hang', { onCall: (made) => (call = made) });
    await until(() => seen.hanging === 1, 'the call has arrived');
    call!.cancel();
    expect((await answer).code).toBe(status.CANCELLED);
    await until(() => seen.cancelled === 1, 'the service hears of it');
    await logged({ path: '/test.Echo/Unary', grpcStatus: 'CANCELLED', clientLeft: true });
  });

  test('also inside a stream, and nobody else on its connection notices', async () => {
    const call = caller.download('late');
    const other = caller.both();
    const ended = streamed(call);
    await until(() => seen.hanging === 1, 'the call has arrived');
    call.cancel();
    expect((await ended).code).toBe(status.CANCELLED);
    await until(() => seen.cancelled === 1, 'the service hears of it');
    const echoed = new Promise((resolve) => other.once('data', resolve));
    other.write(Buffer.from('still here'));
    expect(String(await echoed)).toBe('still here');
    const over = streamed(other);
    other.end();
    expect((await over).code).toBe(status.OK);
  });
});

describe('what changes under open calls', () => {
  test('a reload leaves them alone', async () => {
    const call = caller.both();
    const heard: string[] = [];
    call.on('data', (message: Buffer) => heard.push(message.toString()));
    call.write(Buffer.from('before'));
    await until(() => heard.length === 1, 'the call is open');
    await gateway.write('routes.yaml', await routesFile([route('more', 'test.More')]));
    expect((await gateway.reload()).status).toBe(200);
    expect((await caller.unary('new', { path: '/test.More/Unary' })).answer?.toString()).toBe('new');
    call.write(Buffer.from('after'));
    await until(() => heard.length === 2, 'it still is');
    const over = streamed(call);
    call.end();
    expect((await over).code).toBe(status.OK);
  });

  test('one of two servers that shuts down in good order loses no call', async () => {
    const servers = [await startGrpcServer(), await startGrpcServer()];
    const two = await gatewayFixture({
      files: {
        'a.yaml': {
          pools: { echo: { http2: true, endpoints: servers.map(({ url }) => url), balance: 'round-robin' } },
          routes: [{ name: 'echo', match: { grpc: 'test.Echo' }, pool: 'echo' }],
        },
      },
    });
    const many = new Caller(two.port);
    const codes: grpc.status[] = [];
    let going = true;
    const workers = Array.from({ length: 20 }, async () => {
      while (going) codes.push((await many.unary('work')).code);
    });
    await until(() => codes.length > 300, 'calls are under way');
    await servers[0]!.stop();
    const before = codes.length;
    await until(() => codes.length > before + 300, 'they go on');
    going = false;
    await Promise.all(workers);
    expect(codes.filter((code) => code !== status.OK)).toEqual([]);
  });
});

describe('an operator', () => {
  test('sees how calls ended', async () => {
    await caller.unary('unavailable');
    // A call counts when its stream is closed, which its caller may hear of before.
    const body = await until(async () => {
      const page = await gateway.admin('/metrics');
      return /^aya_grpc_calls_total\{route="echo",code="UNAVAILABLE"\} 1$/m.test(page.body) ? page.body : undefined;
    }, 'the call is counted');
    expect(body).toMatch(/^aya_grpc_calls_total\{route="echo",code="OK"\} [1-9]/m);
    expect(body).toMatch(/^aya_grpc_calls_total\{route="guarded",code="UNAUTHENTICATED"\} 1$/m);
    expect(body).toMatch(/^aya_upstream_attempts_total\{pool="echo",[^}]*outcome="5xx"\} [1-9]/m);
    expect(body).not.toMatch(/aya_grpc_calls_total\{route="web"/);
  });

  test('sees an endpoint leave that answers calls with failures of its own', async () => {
    const bad = await startGrpcServer({ unary: (_call, done) => done({ code: status.UNAVAILABLE, details: 'down' }) });
    const good = await startGrpcServer();
    const two = await gatewayFixture({
      files: {
        'a.yaml': {
          pools: {
            echo: {
              http2: true,
              endpoints: [bad.url, good.url],
              balance: 'round-robin',
              health: { passive: { consecutiveFailures: 3 } },
            },
          },
          routes: [
            {
              name: 'echo',
              match: { grpc: 'test.Echo' },
              pool: 'echo',
              retry: { on: ['grpc-unavailable'], budget: '100%' },
            },
          ],
        },
      },
    });
    const asking = new Caller(two.port);
    for (let at = 0; at < 8; at++) expect((await asking.unary('x')).code).toBe(status.OK);
    await until(() => two.logs.some(({ msg }) => msg.startsWith('endpoint ejected')), 'it is ejected');
    expect(two.logs.find(({ msg }) => msg.startsWith('endpoint ejected'))?.['reason']).toContain(
      'grpc status UNAVAILABLE',
    );
  });

  test('sees an endpoint leave whose health service says so', async () => {
    const sick = await startGrpcServer({ check: (_call, done) => done(null, Buffer.from([8, 2])) });
    const one = await gatewayFixture({
      files: {
        'a.yaml': {
          pools: {
            echo: {
              http2: true,
              endpoints: [sick.url],
              health: {
                active: { grpc: 'test.Echo', interval: '20ms', fastInterval: '20ms', unhealthyAfter: 1 },
                panic: { then: 'fail' },
              },
            },
          },
          routes: [{ name: 'echo', match: { grpc: 'test.Echo' }, pool: 'echo' }],
        },
      },
    });
    await until(() => one.logs.some(({ msg }) => msg.startsWith('endpoint unhealthy')), 'it is unhealthy');
    expect(one.logs.find(({ msg }) => msg.startsWith('endpoint unhealthy'))?.['reason']).toContain('NOT_SERVING');
    const { code, details } = await new Caller(one.port).unary('x');
    expect([status[code], details]).toEqual(['UNAVAILABLE', 'No endpoint can take this request now']);
  });
});
