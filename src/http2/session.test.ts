/** Against a client that was written elsewhere, Node's, which is nghttp2; and against one that does as it is told. */
import { once } from 'node:events';
import http2, { type ClientHttp2Session, type IncomingHttpHeaders, type Settings } from 'node:http2';
import { createServer, type AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { get, post } from '../../test/conformance/http2-heads.ts';
import { cleanup } from '../../test/support/cleanup.ts';
import { data, Flag, H2Connection, headers, LARGEST_FRAME } from '../../test/support/h2-frames.ts';
import { until, within } from '../../test/support/until.ts';
import { seededRandom, systemClock } from '../clock.ts';
import { ErrorCode } from './constants.ts';
import { ServerSession, type SessionOwner } from './session.ts';
import type { ServerStream } from './stream.ts';

const MIB = 2 ** 20;
const IDLE: SessionOwner = {
  onGreeted: () => {},
  onStream: () => {},
  onReset: () => {},
  onRefused: () => {},
  onStreamClosed: () => {},
  onFailed: () => {},
  onClosed: () => {},
};

type OnStream = (stream: ServerStream) => void;

async function listening(onStream: OnStream): Promise<number> {
  const options = {
    maxStreams: 100,
    streamWindow: 65_536,
    connectionWindow: MIB,
    headerListBytes: 65_536,
    clock: systemClock,
  };
  const server = createServer((socket) => new ServerSession(socket, options, { ...IDLE, onStream }));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanup(async () => void server.close());
  return (server.address() as AddressInfo).port;
}

async function connected(onStream: OnStream, settings: Settings = {}): Promise<ClientHttp2Session> {
  const client = http2.connect(`http://127.0.0.1:${await listening(onStream)}`, { settings, maxSessionMemory: 100 });
  client.on('error', () => {});
  cleanup(async () => client.destroy());
  return client;
}

interface Answer {
  readonly headers: IncomingHttpHeaders;
  readonly trailers: IncomingHttpHeaders | undefined;
  readonly body: Buffer;
}

async function ask(client: ClientHttp2Session, headers: Record<string, string>, body?: Buffer): Promise<Answer> {
  const stream = client.request({ ':path': '/', ...headers }, { endStream: body === undefined });
  let trailers: IncomingHttpHeaders | undefined;
  stream.on('trailers', (fields: IncomingHttpHeaders) => (trailers = fields));
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  if (body !== undefined) stream.end(body);
  const [head] = (await within(once(stream, 'response'), 'an answer')) as [IncomingHttpHeaders];
  if (!stream.readableEnded) await within(once(stream, 'end'), 'its end');
  return { headers: head, trailers, body: Buffer.concat(chunks) };
}

describe('fields', () => {
  it.each([{}, { headerTableSize: 0 }, { headerTableSize: 200 }, { headerTableSize: 65_536 }])(
    'are read and written as they are, over many requests: %o',
    async (settings) => {
      const random = seededRandom(7);
      const below = (most: number) => Math.floor(random() * most);
      const text = () => String.fromCharCode(...Array.from({ length: 1 + below(60) }, () => 0x21 + below(94)));
      const usual = Array.from({ length: 30 }, (_, at) => [`x-${at}`, text()] as const);
      const made = () =>
        Object.fromEntries([
          ...usual.filter(() => below(3) === 0),
          ...Array.from({ length: below(4) }, () => [`y-${below(1000)}`, text()]),
        ]) as Record<string, string>;
      let answer: Record<string, string> = {};
      const client = await connected((stream) => {
        stream.sendHead(below(2) === 0 ? 200 : 299, Object.entries(answer).flat(), false);
        stream.end(JSON.stringify(stream.head.fields), undefined);
      }, settings);
      for (let round = 0; round < 200; round++) {
        answer = made();
        const asked = made();
        const { headers, body } = await ask(client, asked);
        expect(headers).toMatchObject(answer);
        expect(JSON.parse(body.toString('latin1'))).toEqual(['host', '', ...Object.entries(asked).flat()]);
      }
    },
  );

  it('of more than a frame go on in further ones', async () => {
    const large = 'x'.repeat(40_000);
    const client = await connected((stream) => stream.sendHead(200, ['x-large', large], true));
    expect((await ask(client, { 'x-large': large })).headers['x-large']).toBe(large);
  });

  it('that are none are refused where they are written, and the next answer is in order', async () => {
    const thrown: unknown[] = [];
    const client = await connected((stream) => {
      for (const field of [
        ['x-a', 'x\r\nevil: x'],
        ['x a', 'x'],
      ] as const) {
        try {
          stream.sendHead(200, ['x-lost', `never sent ${stream.id}`, ...field], true);
        } catch (error) {
          thrown.push(error);
        }
      }
      stream.sendHead(204, ['x-a', 'good', 'connection', 'close', 'x-kept', 'y'], true);
    });
    for (const count of [2, 4]) {
      const { headers } = await ask(client, {});
      expect(headers).toMatchObject({ ':status': 204, 'x-a': 'good', 'x-kept': 'y' });
      expect(headers).not.toHaveProperty('connection');
      expect(headers).not.toHaveProperty('x-lost');
      expect(thrown).toHaveLength(count);
    }
  });
});

describe('bodies', () => {
  it('come back as they were sent, many at once, with trailers', async () => {
    const client = await connected((stream) => {
      stream.sendHead(200, [], false);
      const { source } = stream;
      stream.owner = { onDrain: () => source!.resume(), onClosed: () => {} };
      source!.on('data', (chunk: Buffer) => stream.write(chunk) || source!.pause());
      source!.on('end', () => stream.end(undefined, ['x-end', 'yes'])).resume();
    });
    const bodies = Array.from({ length: 20 }, (_, at) => Buffer.alloc(at * 100_000 + at, String(at)));
    const answers = await Promise.all(bodies.map((body) => ask(client, { ':method': 'POST' }, body)));
    for (const [at, { body, trailers }] of answers.entries()) {
      expect(body.equals(bodies[at]!)).toBe(true);
      expect(trailers).toMatchObject({ 'x-end': 'yes' });
    }
  });

  it('share a connection in turns: a small one is not kept waiting by a large one', async () => {
    const client = await connected((stream) => {
      stream.sendHead(200, [], false);
      stream.end(Buffer.alloc(stream.head.path === '/large' ? 64 * MIB : 100), undefined);
    });
    const large = client.request({ ':path': '/large' });
    large.pause();
    await within(once(large, 'response'), 'the large one to begin');
    expect((await ask(client, { ':path': '/small' })).body).toHaveLength(100);
    expect(large.readableEnded).toBe(false);
    large.resume();
    await within(once(large, 'end'), 'the rest of the large one');
  });

  it('are not given back in the middle: what has begun to leave is read from where it lies', async () => {
    const given: string[] = [];
    const client = await connected((stream) => {
      stream.sendHead(200, [], false);
      stream.write(Buffer.alloc(100_000), () => given.push('begun'));
      stream.write(Buffer.alloc(100_000), () => given.push('waiting'));
      stream.owner = { onDrain: () => {}, onClosed: () => given.push('closed') };
    });
    const asked = client.request({});
    asked.on('error', () => {});
    await within(once(asked, 'response'), 'an answer');
    asked.close(ErrorCode.cancel);
    await until(() => given.includes('closed'), 'the reset');
    expect(given).toEqual(['waiting', 'closed']);
  });

  it('that come without being asked for end their stream, and no other', async () => {
    const streams: ServerStream[] = [];
    const client = await H2Connection.open(
      await listening((stream) => {
        streams.push(stream);
        if (stream.id > 1) stream.sendHead(204, [], true);
      }),
    );
    client.send(headers(1, post('/'), Flag.none));
    client.send(...Array.from({ length: 5 }, () => data(1, Buffer.alloc(LARGEST_FRAME))));
    expect((await client.outcome(1)).reset).toBe(ErrorCode.flowControlError);
    expect(streams[0]!.received).toBeLessThanOrEqual(65_536);
    expect((await client.ask(3, get('/'))).status).toBe(204);
    client.close();
  });

  it('are not asked for before they are read', async () => {
    let stream: ServerStream | undefined;
    const client = await connected((begun) => (stream = begun));
    const upload = client.request({ ':method': 'POST' });
    upload.on('error', () => {});
    upload.write(Buffer.alloc(MIB));
    await until(() => stream, 'the stream');
    // The answer comes behind all that was sent by then.
    for (let round = 0; round < 10; round++) await within(new Promise((resolve) => client.ping(resolve)), 'a pong');
    expect(stream!.received).toBeLessThanOrEqual(65_536);
    stream!.source!.resume();
    await within(once(stream!.source!, 'data'), 'its bytes');
    upload.end();
    await within(once(stream!.source!, 'end'), 'its end');
    expect(stream!.received).toBe(MIB);
    stream!.sendHead(204, [], true);
  });
});
