/** Endpoints that speak HTTP/2 and break, lie or flood: who pays for it, and who does not. */
import { beforeAll, describe, expect, it } from 'vitest';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';
import { block, data, Flag, frame, goaway, rstStream, settings, Type, uint32 } from '../support/h2-frames.ts';
import {
  head,
  ok,
  pairs,
  startFrameUpstream,
  type FrameConnection,
  type FrameUpstream,
} from '../support/h2-frame-upstream.ts';
import { ask, request } from '../support/raw-client.ts';

async function errorOf(response: Response): Promise<string> {
  return ((await response.json()) as { error: string }).error;
}

describe('an endpoint that breaks', () => {
  const answers: Record<number, (connection: FrameConnection, stream: number) => void> = {};
  let upstream: FrameUpstream;
  let gateway: GatewayFixture;
  let number = 0;

  beforeAll(async () => {
    // The stream's number tells nothing of the case: the path does, yet it is in a block that nobody here reads.
    upstream = await startFrameUpstream('faulty', {
      onRequest: (connection, stream) => answers[number]!(connection, stream),
    });
    gateway = await gatewayFixture({
      files: {
        'one.yaml': {
          pools: { one: { endpoints: [upstream.url], http2: true, health: { passive: false } } },
          routes: [{ name: 'one', pool: 'one', retry: false, timeout: { head: '2s' } }],
        },
      },
    });
  });

  const cut: readonly [string, (connection: FrameConnection, stream: number) => void][] = [
    [
      'its connection inside the answer',
      ({ send, socket }, stream) => {
        send(head(stream, 0, ':status', '200'), data(stream, 'half', 0));
        setImmediate(() => socket.resetAndDestroy());
      },
    ],
    [
      'its connection in good order',
      ({ send, socket }, stream) => {
        send(head(stream, 0, ':status', '200'), data(stream, 'half', 0), goaway(stream, 0));
        socket.end();
      },
    ],
    [
      'a stream with an error',
      ({ send }, stream) => send(head(stream, 0, ':status', '200'), data(stream, 'half', 0), rstStream(stream, 2)),
    ],
    [
      'a stream as if all were well',
      ({ send }, stream) => send(head(stream, 0, ':status', '200'), data(stream, 'half', 0), rstStream(stream, 0)),
    ],
    [
      'off before the length that it announced',
      ({ send }, stream) =>
        send(head(stream, 0, ':status', '200', 'content-length', '100'), data(stream, 'half', Flag.endStream)),
    ],
  ];

  it.each(cut)('%s: the client can tell', async (_, answer) => {
    answers[++number] = answer;
    const { responses, leftover, closed } = await ask(gateway.port, request('GET', '/', 'a.test'), {
      answers: 1,
      toClose: true,
    });
    // A head and half a body may have gone out, or a problem; never an answer that looks whole.
    expect(responses.map(({ status }) => status)).toEqual(responses.length === 0 ? [] : [502]);
    if (responses.length === 0) expect([closed, leftover.length > 0]).toEqual(['reset', true]);
  });

  const bad: readonly [string, string, (connection: FrameConnection, stream: number) => void][] = [
    ['connection_terminated', 'nothing but a reset', ({ send }, stream) => send(rstStream(stream, 2))],
    ['connection_terminated', 'the end of the connection', ({ socket }) => void socket.resetAndDestroy()],
    ['http_protocol_error', 'garbage', ({ socket }) => void socket.write('HTTP/1.1 200 OK\r\n\r\nnot a frame at all')],
    ['http_protocol_error', 'status 99', ({ send }, stream) => send(head(stream, Flag.endStream, ':status', '099'))],
    ['http_protocol_error', 'status 600', ({ send }, stream) => send(head(stream, Flag.endStream, ':status', '600'))],
    ['http_protocol_error', 'status 101', ({ send }, stream) => send(head(stream, Flag.endStream, ':status', '101'))],
    ['http_protocol_error', 'no status', ({ send }, stream) => send(head(stream, Flag.endStream, 'x-a', 'b'))],
    [
      'http_protocol_error',
      'an interim answer that ends the stream',
      ({ send }, stream) => send(head(stream, Flag.endStream, ':status', '103')),
    ],
    [
      'http_protocol_error',
      'a field for one connection',
      ({ send }, stream) => send(head(stream, Flag.endStream, ':status', '200', 'connection', 'close')),
    ],
    [
      'http_protocol_error',
      'a coding of HTTP/1.1',
      ({ send }, stream) => send(head(stream, Flag.endStream, ':status', '200', 'transfer-encoding', 'chunked')),
    ],
    [
      'http_protocol_error',
      'two lengths',
      ({ send }, stream) =>
        send(head(stream, Flag.endStream, ':status', '200', 'content-length', '0', 'content-length', '5')),
    ],
    [
      'http_protocol_error',
      'a name in upper case',
      ({ send }, stream) => send(head(stream, Flag.endStream, ':status', '200', 'X-A', 'b')),
    ],
    [
      'http_protocol_error',
      'a thousand interim answers',
      ({ send }, stream) =>
        send(...Array.from({ length: 1000 }, () => head(stream, 0, ':status', '103', 'link', '</x>'))),
    ],
    [
      'http_response_header_section_size',
      'too many fields',
      ({ send }, stream) =>
        send(
          head(
            stream,
            Flag.endStream,
            ':status',
            '200',
            ...Array.from({ length: 250 }, (_, at) => [`x-${at}`, 'x']).flat(),
          ),
        ),
    ],
    [
      'http_response_header_section_size',
      'a field too large',
      ({ send }, stream) => {
        const bytes = block(pairs([':status', '200', 'x-huge', 'x'.repeat(40_000)]));
        const parts = [bytes.subarray(0, 16_000), bytes.subarray(16_000, 32_000), bytes.subarray(32_000)];
        send(
          frame(Type.headers, Flag.endStream, stream, parts[0]),
          frame(Type.continuation, 0, stream, parts[1]),
          frame(Type.continuation, Flag.endHeaders, stream, parts[2]),
        );
      },
    ],
    [
      'connection_terminated',
      'a bomb: one large field, remembered and said again and again',
      ({ send }, stream) => {
        const remembered = Buffer.concat([Buffer.from([0x40]), block(pairs(['x-bomb', 'x'.repeat(3900)])).subarray(1)]);
        send(
          frame(
            Type.headers,
            Flag.endStream | Flag.endHeaders,
            stream,
            Buffer.concat([block(pairs([':status', '200'])), remembered, Buffer.alloc(8000, 0xbe)]),
          ),
        );
      },
    ],
    [
      'http_protocol_error',
      'a head without end',
      ({ send }, stream) =>
        send(
          frame(Type.headers, Flag.endStream, stream, block(pairs([':status', '200']))),
          ...Array.from({ length: 10_000 }, (_, at) =>
            frame(Type.continuation, 0, stream, block(pairs([`x-${at}`, 'x']))),
          ),
        ),
    ],
    [
      'http_protocol_error',
      'what nobody asked for',
      ({ send }, stream) =>
        send(
          ...Array.from({ length: 100 }, (_, at) =>
            frame(
              Type.pushPromise,
              Flag.endHeaders,
              stream,
              Buffer.concat([
                uint32(2 + 2 * at),
                block(pairs([':method', 'GET', ':scheme', 'http', ':authority', 'a', ':path', '/'])),
              ]),
            ),
          ),
        ),
    ],
    [
      'connection_terminated',
      'SETTINGS without end',
      ({ send }) => send(...Array.from({ length: 5_000 }, (_, at) => settings([3, 100 + (at % 2)]))),
    ],
  ];

  it.each(bad)('%s: %s', async (error, _, answer) => {
    answers[++number] = answer;
    const response = await fetch(gateway.url);
    expect([response.status, await errorOf(response)]).toEqual([502, error]);
    // Whatever it was, the next one is served.
    answers[number] = (connection, stream) => ok(connection, stream);
    expect(await (await fetch(gateway.url)).text()).toBe('ok');
  });

  it('a field that would be two is not passed on', async () => {
    answers[++number] = ({ send }, stream) =>
      send(head(stream, Flag.endStream, ':status', '200', 'x-a', 'b\r\nset-cookie: c', 'x-b', 'b'));
    const response = await fetch(gateway.url);
    expect([...response.headers.keys()].filter((name) => /^(x-a|x-b|set-cookie)$/.test(name))).toEqual(['x-b']);
  });

  it('what it says on one connection is no matter to others', async () => {
    const other = await startFrameUpstream('other', {
      onRequest: (connection, stream) => setTimeout(() => ok(connection, stream), 50),
    });
    const flood = await startFrameUpstream('flood', {
      onRequest: ({ send }) => send(...Array.from({ length: 50_000 }, () => settings([3, 100]))),
    });
    const both = await gatewayFixture({
      files: {
        'both.yaml': {
          pools: { other: { endpoints: [other.url], http2: true }, flood: { endpoints: [flood.url], http2: true } },
          routes: [
            { name: 'other', pool: 'other' },
            { name: 'flood', pool: 'flood', match: { path: '/flood' }, retry: false },
          ],
        },
      },
    });
    const [flooded, ...others] = await Promise.all([
      fetch(`${both.url}/flood`),
      ...Array.from({ length: 20 }, () => fetch(both.url)),
    ]);
    expect(flooded.status).toBe(502);
    expect(others.map(({ status }) => status)).toEqual(others.map(() => 200));
  });
});
