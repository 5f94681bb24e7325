/** Event streams and long polls: what the upstream says arrives at once and as it is, for as long as it lasts. */
import type { ServerResponse } from 'node:http';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';
import { RawConnection, request } from '../support/raw-client.ts';
import { until } from '../support/until.ts';
import { startUpstream, type Answer, type Upstream } from '../support/upstream.ts';

/** Answers that wait for the test to go on, the latest last. */
const waiting: ServerResponse[] = [];

const take: Answer = (_request, response) => void waiting.push(response);

let upstream: Upstream;
let gateway: GatewayFixture;

beforeAll(async () => {
  upstream = await startUpstream('events', take);
  const route = (name: string, settings: object) => ({
    name,
    match: { path: `/${name}/*` },
    pool: 'events',
    ...settings,
  });
  gateway = await gatewayFixture({
    files: {
      'events.yaml': {
        pools: { events: { endpoints: [upstream.url], health: { passive: false } } },
        routes: [
          { name: 'all', match: { path: '/*' }, pool: 'events' },
          // Every time limit but the one for silence of streams is shorter than the test.
          route('lasting', {
            timeout: { head: '50ms', total: '50ms', idle: '50ms', perTry: '50ms', streamIdle: '5s' },
          }),
          route('silent', { timeout: { idle: '5s', streamIdle: '80ms' } }),
          route('polled', { timeout: { head: '5s', total: '5s', idle: '50ms' } }),
          route('compressed', { compress: {} }),
        ],
      },
    },
  });
});

beforeEach(() => {
  waiting.length = 0;
  upstream.clear();
});

async function ask(
  path: string,
  fields: readonly string[] = [],
): Promise<{ client: RawConnection; service: ServerResponse }> {
  const client = await RawConnection.open(gateway.port);
  const before = waiting.length;
  client.send(request('GET', path, 'any.test', ['Accept: text/event-stream', ...fields]));
  return { client, service: await until(() => waiting[before], 'the request at the upstream') };
}

const begin = (service: ServerResponse) =>
  service.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' });

/** The body of a chunked answer so far, without what frames it. */
function body(client: RawConnection): string {
  const text = client.received.toString('latin1');
  let at = text.indexOf('\r\n\r\n') + 4;
  let whole = '';
  for (;;) {
    const end = text.indexOf('\r\n', at);
    const size = Number.parseInt(text.slice(at, end), 16);
    if (end === -1 || Number.isNaN(size)) return whole;
    whole += text.slice(end + 2, end + 2 + size);
    at = end + 2 + size + 2;
  }
}

describe('an event stream', () => {
  it('begins at once: its head comes before its first event, and each event before the next is sent', async () => {
    const { client, service } = await ask('/events');
    begin(service).flushHeaders();
    await client.wait(() => client.received.includes('\r\n\r\n'), 'the head');
    expect(client.received.toString()).toContain('text/event-stream');
    for (let at = 0; at < 20; at++) {
      service.write(`data: ${at}\n\n`);
      await client.wait(() => body(client).endsWith(`data: ${at}\n\n`), `event ${at}`);
    }
    service.end();
    await client.wait(() => client.received.toString().endsWith('\r\n0\r\n\r\n'), 'the end');
    client.close();
  });

  it('arrives identical: events cut anywhere, single bytes, one of a megabyte, comments, CRLF, UTF-8', async () => {
    const { client, service } = await ask('/events');
    const text = [
      ': a comment\n\n',
      'event: ünïcode\ndata: 日本語\n\n',
      'data: with\r\ndata: line ends\r\n\r\n',
      `data: ${'x'.repeat(1024 * 1024)}\n\n`,
      'id: 7\nretry: 100\ndata\n\n',
      'data: not ended',
    ].join('');
    const bytes = Buffer.from(text);
    begin(service);
    for (let at = 0, size = 1; at < bytes.length; at += size, size = at < 200 ? 1 : 50_021) {
      service.write(bytes.subarray(at, at + size));
      if (at < 200) await new Promise((resolve) => setImmediate(resolve));
    }
    service.end();
    await client.wait(() => client.received.toString('latin1').endsWith('\r\n0\r\n\r\n'), 'the end');
    expect(Buffer.from(body(client), 'latin1').equals(bytes)).toBe(true);
    client.close();
  });

  it('goes on beyond every time limit but its own', async () => {
    const { client, service } = await ask('/lasting/events');
    begin(service).write('data: first\n\n');
    await client.wait(() => body(client).includes('first'), 'the first event');
    // Longer than all of them, told by the clock of another route: this one is cut by such a limit.
    const other = await ask('/silent/events');
    begin(other.service).write('data: first\n\n');
    await until(() => other.client.closed !== 'open', 'another stream to be cut');
    service.write(': still here\n\n');
    await client.wait(() => body(client).includes('still here'), 'a comment');
    expect(client.closed).toBe('open');
    client.close();
  });

  it('is cut when it is silent for its limit, in a way that no client takes for its end; a comment keeps it', async () => {
    const { client, service } = await ask('/silent/events');
    begin(service);
    for (let at = 0; at < 10; at++) {
      service.write(`: ${at}\n\n`);
      await client.wait(() => body(client).includes(`: ${at}`), 'a comment');
    }
    await until(() => client.closed !== 'open', 'the cut');
    expect(client.received.toString()).not.toMatch(/\r\n0\r\n\r\n$/);
    await until(() => service.closed, 'the upstream to be left');
  });

  it('is left at the upstream when its client leaves', async () => {
    const { client, service } = await ask('/events');
    begin(service).write('data: first\n\n');
    await client.wait(() => body(client).includes('first'), 'the first event');
    client.close();
    await until(() => service.closed, 'the abort at the upstream');
  });

  it('breaks at the client when the upstream breaks it off', async () => {
    const { client, service } = await ask('/events');
    begin(service).write('data: first\n\n');
    await client.wait(() => body(client).includes('first'), 'the first event');
    service.socket!.resetAndDestroy();
    await until(() => client.closed !== 'open', 'the end');
    expect(client.received.toString()).not.toMatch(/\r\n0\r\n\r\n$/);
  });

  it('is not held back by a route that compresses', async () => {
    const { client, service } = await ask('/compressed/events', ['Accept-Encoding: gzip, br']);
    begin(service).flushHeaders();
    await client.wait(() => client.received.includes('\r\n\r\n'), 'the head');
    const before = client.received.length;
    service.write('data: first\n\n');
    await client.wait(() => client.received.length > before, 'the first event');
    service.end();
    client.close();
  });
});

describe('a long poll', () => {
  it('waits for its answer as long as its head may take, however short the other limits', async () => {
    const { client, service } = await ask('/polled/next');
    const cut = await ask('/silent/events');
    begin(cut.service).write('data: first\n\n');
    await until(() => cut.client.closed !== 'open', 'a stream to be cut');
    service.writeHead(200, { 'content-type': 'application/json' }).end('{"next":1}');
    const answer = await client.answer();
    expect([answer.status, answer.text()]).toEqual([200, '{"next":1}']);
    client.close();
  });

  it.each(['close', 'reset'] as const)('is left at the upstream when its client leaves by %s', async (leave) => {
    const { client, service } = await ask('/polled/next');
    client[leave]();
    // Well before anything is cut that was silent for longer.
    const cut = await ask('/silent/events');
    begin(cut.service).write('data: first\n\n');
    await until(() => cut.client.closed !== 'open', 'a stream to be cut');
    expect(service.closed).toBe(true);
  });

  it('is answered for a client that has only closed its half', async () => {
    const { client, service } = await ask('/polled/next');
    client.halfClose();
    await client.wait(() => client.read().interim.length >= 3, 'it to be asked whether it is there');
    service.end('done');
    expect((await client.answer()).text()).toBe('done');
  });
});
