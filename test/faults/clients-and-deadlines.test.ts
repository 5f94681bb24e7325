/** Clients that leave, stall or half-close, and upstreams that never answer: nothing is held for them. */
import { createHash } from 'node:crypto';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';
import { ask, RawConnection, request } from '../support/raw-client.ts';
import { timed, until } from '../support/until.ts';
import { byPath, hang, slow, startUpstream, type Answer, type Upstream } from '../support/upstream.ts';

const MIB = 1024 * 1024;
let upstream: Upstream;
let gateway: GatewayFixture;

/** Writes until told to wait; 64 MiB in all. */
const large: Answer = (_request, response) => {
  const chunk = Buffer.alloc(64 * 1024, 'x');
  let left = 1_024;
  const write = () => {
    while (left > 0) {
      left -= 1;
      if (left === 0) return response.end(chunk);
      if (!response.write(chunk)) return void response.once('drain', write);
    }
  };
  write();
};

/** Answers with the digest of what it got. */
const digest: Answer = (incoming, response) => {
  const hash = createHash('sha256');
  let length = 0;
  incoming.on('data', (chunk: Buffer) => {
    hash.update(chunk);
    length += chunk.length;
  });
  incoming.on('end', () => response.end(JSON.stringify({ length, sha256: hash.digest('hex') })));
};

/** More than the kernel buffers, and no two places alike; by its query with a length or in chunks. */
const PATTERN = Buffer.alloc(
  4 * MIB,
  Buffer.from(Uint32Array.from({ length: MIB / 4 }, (_, at) => at * 2_654_435_761).buffer),
);
const pattern: Answer = (incoming, response) => {
  if (incoming.url!.endsWith('length')) response.setHeader('content-length', PATTERN.length);
  let at = 0;
  // In pieces smaller than what is read at once, so that a client's side still holds one while the next is read.
  const write = (): void => {
    if (at >= PATTERN.length) return void response.end();
    const more = response.write(PATTERN.subarray(at, (at += 30_000)));
    if (more) setImmediate(write);
    else response.once('drain', write);
  };
  write();
};

/** A first event, then silence. */
const stream: Answer = (_request, response) => {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.write('data: first\n\n');
};

const HEAD_LIMIT_MS = 500;

beforeAll(async () => {
  upstream = await startUpstream('deadlines', byPath({ hang, slow: slow(200), large, digest, pattern, stream }));
  const pool = { endpoints: [upstream.url], health: { passive: false } };
  gateway = await gatewayFixture({
    gateway: { accessLog: { enabled: false } },
    files: {
      'deadlines.yaml': {
        pools: { deadlines: pool },
        routes: [
          { name: 'open', match: { path: '/*' }, pool: 'deadlines', limits: { body: 'none' } },
          { name: 'short', match: { path: '/short/*' }, pool: 'deadlines', timeout: { head: `${HEAD_LIMIT_MS}ms` } },
          { name: 'small', match: { path: '/small/*' }, pool: 'deadlines', limits: { body: '1KiB' } },
        ],
      },
    },
  });
});

beforeEach(() => upstream.clear());

describe('a client that leaves', () => {
  it('while it waits for the head, its upstream request is aborted at once', async () => {
    const connection = await RawConnection.open(gateway.port);
    connection.send(request('GET', '/hang', 'any.test'));
    await until(() => upstream.seen.length === 1, 'the request at the upstream');
    connection.reset();
    const { ms } = await timed(() => until(() => upstream.aborted === 1, 'the abort at the upstream'));
    expect(ms).toBeLessThan(1_000);
  });

  it('by an ordinary close while it waits for the head, is noticed too', async () => {
    const connection = await RawConnection.open(gateway.port);
    connection.send(request('GET', '/hang', 'any.test'));
    await until(() => upstream.seen.length === 1, 'the request at the upstream');
    connection.close();
    await until(() => upstream.aborted === 1, 'the abort at the upstream');
  });

  it('in the middle of a download, its upstream request is aborted at once', async () => {
    const connection = await RawConnection.open(gateway.port);
    connection.send(request('GET', '/large', 'any.test'));
    await connection.wait(() => connection.received.length > 100_000, 'the first bytes');
    connection.reset();
    const { ms } = await timed(() => until(() => upstream.aborted === 1, 'the abort at the upstream'));
    expect(ms).toBeLessThan(1_000);
  });

  it('in the middle of an event stream, its upstream request is aborted at once', async () => {
    const connection = await RawConnection.open(gateway.port);
    connection.send(request('GET', '/stream', 'any.test'));
    await connection.wait(() => connection.received.includes('data: first'), 'the first event');
    connection.close();
    const { ms } = await timed(() => until(() => upstream.aborted === 1, 'the abort at the upstream'));
    expect(ms).toBeLessThan(1_000);
  });

  it('in the middle of an upload, its upstream request never completes', async () => {
    const connection = await RawConnection.open(gateway.port);
    connection.send(`POST /digest HTTP/1.1\r\nHost: any.test\r\nContent-Length: 1000\r\n\r\nhalf`);
    await until(() => upstream.requests === 1, 'the head at the upstream');
    connection.reset();
    await until(() => upstream.aborted === 1, 'the abort at the upstream');
  });

  it('a hundred times leaves no connection to the upstream behind', async () => {
    const connections = await Promise.all(Array.from({ length: 100 }, () => RawConnection.open(gateway.port)));
    for (const connection of connections) connection.send(request('GET', '/hang', 'any.test'));
    await until(() => upstream.seen.length === 100, 'all requests at the upstream');
    for (const connection of connections) connection.reset();
    await until(() => upstream.aborted === 100, 'all aborts at the upstream');
    await until(() => upstream.open <= 1, 'no connection in use');
  });
});

describe('a client that says no more', () => {
  it('but half-closes behind its request, still gets its answer', async () => {
    const { responses } = await ask(gateway.port, request('GET', '/slow', 'any.test'), { halfClose: true });
    expect(responses.map(({ status }) => status)).toEqual([200]);
  });

  it('in the middle of its body, gets 400 or the close, and the upstream no whole request', async () => {
    const bytes = 'POST /short/echo HTTP/1.1\r\nHost: any.test\r\nContent-Length: 10\r\n\r\nhalf';
    const { responses, closed } = await ask(gateway.port, bytes, { halfClose: true, answers: 0 });
    expect(responses.map(({ status }) => status).filter((status) => status !== 400)).toEqual([]);
    expect(closed).not.toBe('open');
    expect(upstream.seen).toEqual([]);
  });

  it('twenty that stall in a download are not read ahead for', async () => {
    const readers = 20;
    const before = process.memoryUsage().rss;
    const connections = await Promise.all(Array.from({ length: readers }, () => RawConnection.open(gateway.port)));
    for (const connection of connections) {
      connection.socket.pause();
      connection.send(request('GET', '/large', 'any.test'));
    }
    await until(() => upstream.requests >= readers, 'all requests at the upstream');
    // What is written until the kernel's buffers are full; then nobody may go on.
    let last = -1;
    await until(() => {
      const now = process.memoryUsage().rss;
      const isStill = Math.abs(now - last) < MIB / 4;
      last = now;
      return isStill;
    }, 'memory at rest');
    const eachMiB = (process.memoryUsage().rss - before) / readers / MIB;
    for (const connection of connections) connection.reset();
    // 64 MiB were on offer. What was read and given back is garbage that stands in the figure too.
    expect(eachMiB).toBeLessThan(4);
  });
});

describe('an upstream that never answers', () => {
  it('costs its clients the route’s limit and little more, and leaves nothing behind', async () => {
    const asked = Array.from({ length: 20 }, () =>
      timed(() => ask(gateway.port, request('GET', '/short/hang', 'any.test'))),
    );
    const answers = await Promise.all(asked);
    expect(answers.map(({ value }) => value.responses[0]?.status)).toEqual(Array(20).fill(504));
    const waited = answers.map(({ ms }) => ms).sort((one, other) => one - other);
    expect(waited[0]).toBeGreaterThan(450);
    // Half of them, and doubled: what twenty clients in this very process add is not the gateway's.
    expect(waited[10]).toBeLessThan(1_000);
    await until(() => upstream.open <= 1, 'no connection in use');
  });
});

describe('a large body', () => {
  it('goes up unharmed', async () => {
    const body = Buffer.alloc(8 * MIB);
    for (let at = 0; at < body.length; at += 4) body.writeUInt32LE(Math.imul(at, 2_654_435_761) >>> 0, at);
    const response = await fetch(`${gateway.url}/digest`, { method: 'POST', body });
    expect(await response.json()).toEqual({
      length: body.length,
      sha256: createHash('sha256').update(body).digest('hex'),
    });
  });

  it('comes down unharmed', async () => {
    const response = await fetch(`${gateway.url}/large`);
    expect((await response.arrayBuffer()).byteLength).toBe(64 * MIB);
  });

  it('comes down unharmed to many at once, each as fast as it reads', async () => {
    const downloads = Array.from({ length: 6 }, async (_, at) => {
      const response = await fetch(`${gateway.url}/pattern?${at % 2 === 0 ? 'length' : 'chunks'}`);
      const chunks: Uint8Array[] = [];
      for await (const chunk of response.body!) {
        chunks.push(chunk);
        for (let turn = 0; turn < 20 * at; turn++) await new Promise(setImmediate);
      }
      return Buffer.concat(chunks);
    });
    for (const body of await Promise.all(downloads)) expect(body.equals(PATTERN)).toBe(true);
  });

  it.each([
    ['with a length', 'Content-Length: 1025\r\n\r\n'],
    ['in chunks', `Transfer-Encoding: chunked\r\n\r\n401\r\n${'x'.repeat(0x401)}\r\n0\r\n\r\n`],
  ])('one byte over the limit is 413, %s, and the upstream sees no whole request', async (_, rest) => {
    const { responses, closed } = await ask(gateway.port, `POST /small/x HTTP/1.1\r\nHost: any.test\r\n${rest}`, {
      answers: 0,
    });
    expect(responses.map(({ status }) => status)).toEqual([413]);
    expect(responses[0]?.field('connection')).toBe('close');
    expect(closed).not.toBe('open');
    expect(upstream.seen).toEqual([]);
  });

  it('of exactly the limit passes', async () => {
    const { responses } = await ask(gateway.port, request('POST', '/small/x', 'any.test', [], 'x'.repeat(1024)));
    expect(responses[0]?.status).toBe(200);
  });
});

describe('a body that takes longer to come than the head may', () => {
  it('is not held against the service: the head is waited for from the end of the body on', async () => {
    const connection = await RawConnection.open(gateway.port);
    connection.send('POST /short/echo HTTP/1.1\r\nHost: any.test\r\nContent-Length: 10\r\n\r\nfirst');
    const start = performance.now();
    await until(() => performance.now() - start > HEAD_LIMIT_MS * 1.5, 'longer than the head may take');
    connection.send('later');
    expect((await connection.answer()).status).toBe(200);
    connection.close();
  });
});
