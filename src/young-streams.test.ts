import { once } from 'node:events';
import http2, { type ClientHttp2Session, type Http2Session, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { expect, it } from 'vitest';
import { cleanup } from '../test/support/cleanup.ts';
import { until, within } from '../test/support/until.ts';
import { keepStreamsYoung } from './young-streams.ts';

interface Pair {
  readonly client: ClientHttp2Session;
  readonly server: Http2Session;
  /** Those that the server has and has not answered, in their order. */
  readonly streams: ServerHttp2Stream[];
  ask(): Promise<http2.ClientHttp2Stream>;
}

/** Both sides keep their streams so. */
async function pair(): Promise<Pair> {
  const server = http2.createServer({ settings: { maxConcurrentStreams: 1000 } });
  const streams: ServerHttp2Stream[] = [];
  const sessions: Http2Session[] = [];
  server.on('session', (session) => {
    // That it is false says that this version of Node keeps them in another way: the decision has to be made anew.
    expect(keepStreamsYoung(session)).toBe(true);
    sessions.push(session);
  });
  server.on('stream', (stream) => {
    stream.on('error', () => {});
    streams.push(stream);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  client.on('error', () => {});
  expect(keepStreamsYoung(client)).toBe(true);
  cleanup(async () => {
    client.destroy();
    server.close();
  });
  const ask = async () => {
    const before = streams.length;
    const stream = client.request({ ':path': '/' });
    stream.on('error', () => {});
    stream.resume();
    await until(() => streams.length > before || undefined, 'the stream');
    return stream;
  };
  const first = client.request({ ':path': '/first' });
  first.resume();
  await within(once(server, 'stream'), 'the first stream');
  streams.shift()!.respond({ ':status': 204 }, { endStream: true });
  await within(once(first, 'close'), 'its end');
  return { client, server: sessions[0]!, streams, ask };
}

it('streams that come and go are found, also behind one that stays', async () => {
  const { streams, ask } = await pair();
  const staying = await ask();
  for (let round = 0; round < 150; round++) {
    const asked = await ask();
    streams.pop()!.respond({ ':status': 200 }, { endStream: true });
    const [head] = (await within(once(asked, 'response'), 'an answer')) as [Record<string, unknown>];
    expect(head[':status']).toBe(200);
    if (!asked.closed) await within(once(asked, 'close'), 'its end');
  }
  streams.pop()!.respond({ ':status': 201 }, { endStream: true });
  const [head] = (await within(once(staying, 'response'), 'the answer of the first')) as [Record<string, unknown>];
  expect(head[':status']).toBe(201);
});

it('more of them than there are slots end with their session, and each hears of it', async () => {
  const { client, server, streams } = await pair();
  const asked = Array.from({ length: 300 }, () => client.request({ ':path': '/' }));
  let ended = 0;
  for (const stream of asked) stream.on('error', () => {}).on('close', () => ended++);
  await until(() => streams.length === 300 || undefined, 'all streams');
  server.destroy();
  await until(() => ended === 300 || undefined, 'their end');
  expect(streams.every(({ destroyed }) => destroyed)).toBe(true);
});

it('a session that closes waits for the last of them', async () => {
  const { client, streams, ask } = await pair();
  const asked = [await ask(), await ask()];
  client.close();
  expect(client.destroyed).toBe(false);
  for (const stream of streams.splice(0)) stream.respond({ ':status': 200 }, { endStream: true });
  await until(() => client.destroyed || undefined, 'the end of the session');
  expect(asked.every(({ closed, rstCode }) => closed && rstCode === 0)).toBe(true);
});

it('those that wait for the connection are told when there will be none', async () => {
  const client = http2.connect('http://127.0.0.1:1');
  keepStreamsYoung(client);
  client.on('error', () => {});
  const asked = [client.request({ ':path': '/' }), client.request({ ':path': '/' })];
  await Promise.all(asked.map((stream) => within(once(stream, 'error'), 'its end')));
});
