/**
 * Clients of HTTP/2 that come, reset, leave and break off at random, services that die and return, and reloads in the midst
 * of it. Whatever was counted is given back, and the gateway serves as before.
 */
import http2, { type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2';
import net from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { seededRandom } from '../../src/clock.ts';
import { cleanup } from '../support/cleanup.ts';
import { gatewayFixture } from '../support/gateway.ts';
import { Http2Client } from '../support/http2-client.ts';
import * as http2Answers from '../support/http2-upstream.ts';
import { startHttp2Upstream, type Http2Answer } from '../support/http2-upstream.ts';
import { metric } from '../support/metrics.ts';
import { until } from '../support/until.ts';
import { byPath, echo, hang, slow, startUpstream, type Answer } from '../support/upstream.ts';

const HOST = '127.0.0.1';
const CLIENTS = 12;
const STEPS = 1_200;
const SLOTS = 40;
const LARGE = Buffer.alloc(512 * 1024, 'l');

const events: Answer = (_request, response) => {
  response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n');
};
const broken: Answer = (_request, response) => {
  response.writeHead(200, { 'content-length': '10' }).write('half', () => response.socket?.resetAndDestroy());
};
const stored: Answer = (request, response, upstream) => {
  response.setHeader('cache-control', 'max-age=1');
  slow(20)(request, response, upstream);
};
const large: Answer = (_request, response) => void response.end(LARGE);

const streams: Readonly<Record<string, Http2Answer>> = {
  hang: () => {},
  large: (stream) => {
    stream.respond();
    stream.end(LARGE);
  },
  events: (stream) => {
    stream.respond({ 'content-type': 'text/event-stream' });
    stream.write('data: 1\n\n');
  },
  broken: (stream) => {
    stream.respond();
    stream.write('half', () => stream.close(2));
  },
  refused: (stream) => stream.close(7),
};

const PREFIXES = ['/one', '/two', '/limited', '/cached', '/held'];
const ENDS = ['x', 'x', 'slow', 'hang', 'large', 'events', 'broken', 'stored', 'refused'];

/** A client that keeps neither its streams nor its connection for long. */
class Restless {
  readonly #port: number;
  /** The latest last; a connection that its client has closed may yet wait for its streams. */
  readonly #sockets: net.Socket[] = [];
  #session: ClientHttp2Session | undefined;
  #streams: ClientHttp2Stream[] = [];

  constructor(port: number) {
    this.#port = port;
  }

  /** @param chance of this step alone. */
  step(chance: () => number): void {
    const pick = <One>(of: readonly One[]): One => of[Math.floor(chance() * of.length)]!;
    const dice = chance();
    if (dice < 0.5)
      this.#ask(`${pick(PREFIXES)}/${pick(ENDS)}?${Math.floor(chance() * 20)}`, pick(['GET', 'GET', 'HEAD']));
    else if (dice < 0.7) this.#upload(`${pick(PREFIXES)}/${pick(ENDS)}`, chance() < 0.5);
    else if (dice < 0.9) this.#drop(pick([0, 8, 8, 5, 2]));
    else if (dice < 0.94) this.#session?.close();
    else if (dice < 0.97) this.#session?.destroy();
    else if (dice < 0.985) this.#sockets.at(-1)?.end();
    else this.#sockets.at(-1)?.resetAndDestroy();
  }

  leave(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #ask(path: string, method: string): void {
    const stream = this.#open({ ':path': path, ':method': method }, true);
    // Half of them are never read.
    if (path.length % 2 === 0) stream.resume();
  }

  #upload(path: string, isWhole: boolean): void {
    const stream = this.#open({ ':path': path, ':method': 'POST', 'content-type': 'application/json' }, false);
    stream.resume();
    stream.write('{"part": 1');
    if (isWhole) stream.end('}');
  }

  #drop(code: number): void {
    this.#streams.shift()?.close(code);
  }

  #open(head: http2.OutgoingHttpHeaders, endStream: boolean): ClientHttp2Stream {
    if (this.#session === undefined || this.#session.closed || this.#session.destroyed) this.#connect();
    const stream = this.#session!.request(head, { endStream });
    stream.on('error', () => {});
    this.#streams.push(stream);
    return stream;
  }

  #connect(): void {
    this.#streams = [];
    const socket = net.connect(this.#port, HOST);
    socket.on('error', () => {});
    this.#sockets.push(socket);
    this.#session = http2.connect(`http://${HOST}:${this.#port}`, { createConnection: () => socket });
    this.#session.on('error', () => {});
  }
}

it.each([4, 16])('with the seed %i', async (seed) => {
  const random = seededRandom(seed);
  const one = await startUpstream(
    'one',
    byPath({ hang, slow: slow(20), large, events, broken, stored, refused: echo }),
  );
  const two = await startHttp2Upstream('two', http2Answers.byPath(streams));
  const files = (revision: number) => ({
    pools: {
      one: { endpoints: [one.url], health: { passive: false } },
      two: { endpoints: [two.url], health: { passive: false }, http2: true },
    },
    routes: [
      {
        name: 'one',
        match: { path: '/one/*' },
        pool: 'one',
        headers: { response: { set: { 'x-revision': `${revision}` } } },
      },
      { name: 'two', match: { path: '/two/*' }, pool: 'two' },
      { name: 'limited', match: { path: '/limited/*' }, pool: 'one', rateLimit: { concurrency: SLOTS, by: 'route' } },
      { name: 'cached', match: { path: '/cached/*' }, pool: 'one', cache: { ttl: '1s' }, compress: true },
      { name: 'held', match: { path: '/held/*' }, pool: 'two', validate: { body: { schema: { type: 'object' } } } },
    ],
  });
  const gateway = await gatewayFixture({
    gateway: {
      threads: 2,
      listen: [{ host: HOST, port: 0, http2: { maxResets: 1_000_000 } }],
      cache: { memory: '16MiB' },
      defaults: { timeout: { idle: '500ms' } },
    },
    files: { 'storm.yaml': files(0) },
  });

  const clients = Array.from({ length: CLIENTS }, () => new Restless(gateway.port));
  cleanup(async () => clients.forEach((client) => client.leave()));
  for (let step = 0; step < STEPS; step++) {
    clients[Math.floor(random() * CLIENTS)]!.step(random);
    if (step % 8 === 0) await nextTurn();
    if (step % 300 === 150) {
      await one.kill();
      for (const session of two.sessions) session.destroy();
    }
    if (step % 300 === 200) await one.revive();
    if (step % 300 === 250) {
      await gateway.write('storm.yaml', files(step));
      expect((await gateway.reload()).status).toBe(200);
    }
  }
  for (const client of clients) client.leave();

  const left = async () => ({
    requests: await metric(gateway, 'aya_requests_in_flight'),
    attempts: await metric(gateway, 'aya_endpoint_in_flight'),
    clients: await metric(gateway, 'aya_connections', 'downstream'),
    generations: await metric(gateway, 'aya_generations'),
  });
  const nothing = { requests: 0, attempts: 0, clients: 0, generations: 1 };
  await until(async () => JSON.stringify(await left()) === JSON.stringify(nothing), 'nothing left').catch(async () =>
    expect(await left()).toEqual(nothing),
  );
  const agree = async () => (await metric(gateway, 'aya_upstream_connections')) === one.open + two.open;
  await until(agree, 'as many connections to services as these have');

  // Every slot of the limit is free again, on whichever thread it was taken.
  const client = await Http2Client.connect(gateway.url);
  const answers = await Promise.all(Array.from({ length: SLOTS }, () => client.ask('/limited/slow')));
  expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
  for (const prefix of PREFIXES) expect((await client.ask(`${prefix}/x`)).status).toBe(200);
  expect(gateway.logs.filter(({ level }) => level >= 50)).toEqual([]);
  client.session.destroy();
});
