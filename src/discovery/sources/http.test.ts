import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock, type Clock } from '../../clock.ts';
import type { Answer } from '../source.ts';
import http from './http.ts';

let listener: RequestListener;
const server = createServer((request, response) => listener(request, response));
let url = '';

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/orders`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

/** Nothing is waited for. */
const impatient: Clock = { ...systemClock, after: (_, run) => systemClock.after(0, run) };

/** What is made of these answers, one after the other. */
async function answersTo(...answers: readonly RequestListener[]): Promise<Answer[]> {
  const stop = new AbortController();
  const settings = {
    http: `${url}?token=geheim`,
    interval: 100,
    timeout: 200,
    headers: { 'x-a': 'b' },
    maxBytes: 1024,
  };
  const source = http.create(settings, { dir: '/', clock: impatient, random: () => 0 });
  const heard: Answer[] = [];
  listener = answers[0]!;
  for await (const answer of source.watch(stop.signal)) {
    heard.push(answer);
    listener = answers[heard.length] ?? listener;
    if (heard.length === answers.length) stop.abort();
  }
  return heard;
}

const text =
  (body: string, fields: Record<string, string> = {}): RequestListener =>
  (_, response) =>
    response.writeHead(200, fields).end(body);

test('a list is read as in a file, plain or under its name', async () => {
  const one = { host: '10.0.0.1', scheme: 'http', port: 81, weight: 1, backup: false };
  const two = { host: '[::1]', scheme: 'https', weight: 5, backup: true };
  const list = '["http://10.0.0.1:81",{"url":"https://[::1]","weight":5,"backup":true}]';
  expect(await answersTo(text(list), text(`{"endpoints":${list}}`), text('[]'))).toEqual([[one, two], [one, two], []]);
});

test('one that has not changed is not sent again', async () => {
  const asked: unknown[] = [];
  const unchanged: RequestListener = ({ headers }, response) => {
    asked.push(headers['if-none-match'], headers['x-a'], headers.accept);
    response.writeHead(304).end();
  };
  const [first, second] = await answersTo(text('["http://10.0.0.1"]', { etag: '"7"' }), unchanged);
  expect(second).toEqual(first);
  expect(asked).toEqual(['"7"', 'b', 'application/json']);
});

test.each<[string, RequestListener, RegExp]>([
  ['a status', (_, response) => response.writeHead(500).end(), /: status 500$/],
  ['304 to a question without a condition', (_, response) => response.writeHead(304).end(), /: status 304$/],
  ['what is not a list', text('{"nodes":[]}'), /orders:1:1: error: missing key 'endpoints'/],
  ['what is not a URL of an endpoint', text('["http://a/path"]'), /orders:1:2: error: expected a URL/],
  ['a host that cannot be', text('["http://a:99999"]'), /orders:1:2: error: 'http:\/\/a:99999' is not the URL/],
  ['a page', text('<html><p>'), /orders:1:1: error: expected/],
  ['what is beyond JSON and YAML', text('['), /orders:1:2: error: not valid YAML/],
  ['variables of ours', text('["http://${HOME}"]'), /orders:1:\d+: error/],
  ['prototypes', text('{"__proto__":[]}'), /orders:1:2: error: key '__proto__' is not allowed/],
  ['too much', text(`["${'x'.repeat(2000)}"]`), /: larger than 1024 bytes$/],
  ['silence', () => {}, /: no answer within 200 ms$/],
  ['a redirect', (_, response) => response.writeHead(302, { location: '/other' }).end(), /redirect/],
  ['a broken connection', ({ socket }) => void socket.destroy(), /: .+/],
])('%s is a failure, which names the place without its query', async (_, answer, says) => {
  const [failure, after] = await answersTo(answer, text('["http://10.0.0.1"]'));
  expect(failure).toBeInstanceOf(Error);
  expect((failure as Error).message).toMatch(says);
  expect((failure as Error).message).not.toContain('geheim');
  expect(after).toHaveLength(1);
});
