/**
 * Bodies much larger than the gateway: every byte arrives, and its memory does not grow with them. `BODY_MIB=1024` tries
 * it with larger ones, and says what it took.
 */
import { createHash } from 'node:crypto';
import http, { type IncomingMessage } from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { beforeAll, describe, expect, it } from 'vitest';
import { Certificates, hasOpenssl } from '../support/certificates.ts';
import { configDirectory, FREE_PORTS, ready, spawnAya, type Served } from '../support/command.ts';
import { closedPort, startUpstream } from '../support/upstream.ts';

const FILE = 'test/scenarios/large-bodies.test.ts';
const MIB = 1024 ** 2;
const BODY_MIB = Number(process.env['BODY_MIB'] ?? 96);
/** Buffers between two sockets, and what the garbage collector has not taken back yet. */
const MOST_GROWTH = 80 * MIB;

/** Each KiB of the body differs from the others. */
function* body(): Generator<Buffer> {
  for (let block = 0; block < BODY_MIB * 16; block++) {
    const bytes = Buffer.alloc(64 * 1024, block & 0xff);
    for (let at = 0; at < bytes.length; at += 1024) bytes.writeUInt32LE(block * 64 + at / 1024, at);
    yield bytes;
  }
}

interface Arrived {
  readonly bytes: number;
  readonly sha256: string;
}

async function arrival(stream: AsyncIterable<Buffer>): Promise<Arrived> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of stream) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return { bytes, sha256: hash.digest('hex') };
}

/** How a client comes: with TLS or without, speaking which HTTP. */
type Way = 'plain' | 'TLS' | 'HTTP/2' | 'HTTP/2 over TLS';

describe.skipIf(!hasOpenssl(FILE))(`a body of ${BODY_MIB} MiB`, { timeout: BODY_MIB * 500 }, () => {
  const length = String(BODY_MIB * MIB);
  let whole: Arrived;
  let served: Served;
  let secureUrl = '';
  let ca = '';
  let memory: () => Promise<number>;

  beforeAll(async () => {
    whole = await arrival(Readable.from(body()));
    const certificates = new Certificates();
    certificates.authority('ca');
    certificates.issue('api', { altNames: 'DNS:api.test' });
    ca = certificates.pem('ca');
    const upstream = await startUpstream('files', (request, response) => {
      if (request.method === 'POST') {
        void arrival(request).then((arrived) => response.end(JSON.stringify(arrived)));
        return;
      }
      const framing = request.url === '/known' ? { 'content-length': length } : {};
      response.writeHead(200, { ...framing, 'content-type': 'text/plain' });
      void pipeline(Readable.from(body()), response).catch(() => {});
    });
    const secure = await closedPort();
    const tls = { cert: certificates.file('api.pem'), key: certificates.file('api.key') };
    const dir = await configDirectory({
      'gateway.yaml': {
        ...FREE_PORTS,
        listen: [...FREE_PORTS.listen, { host: '127.0.0.1', port: secure, tls }],
        accessLog: { enabled: false },
      },
      'routes.d/files.yaml': {
        pools: { files: { endpoints: [upstream.url], health: { passive: false } } },
        routes: [
          { name: 'files', pool: 'files', limits: { body: 'none' } },
          { name: 'compressed', match: { path: '/compressed' }, pool: 'files', compress: { levels: { gzip: 1 } } },
          { name: 'cached', match: { path: '/cached' }, pool: 'files', cache: { ttl: '1m' } },
        ],
      },
    });
    served = await ready(spawnAya(['start', dir]));
    secureUrl = `https://127.0.0.1:${secure}`;
    memory = async () => {
      const text = await (await fetch(`${served.adminUrl}/metrics`)).text();
      return Number(/^process_resident_memory_bytes (\S+)/m.exec(text)?.[1]);
    };
  });

  /** Runs a transfer. @returns by how much the gateway's memory was larger meanwhile, at most. */
  async function growthDuring(what: string, transfer: () => Promise<void>): Promise<number> {
    const before = await memory();
    let most = before;
    const looking = setInterval(() => void memory().then((now) => (most = Math.max(most, now)), () => {}), 100); // prettier-ignore
    const start = performance.now();
    await transfer().finally(() => clearInterval(looking));
    if (process.env['BODY_MIB'] !== undefined) {
      const perSecond = BODY_MIB / ((performance.now() - start) / 1000);
      const mib = (bytes: number) => Math.round(bytes / MIB);
      console.info(`${what}: ${Math.round(perSecond)} MiB/s, RSS ${mib(before)} to ${mib(most)} MiB at most`);
    }
    return most - before;
  }

  /** @returns the body of the answer. */
  function ask(way: Way, path: string, upload?: Readable, fields = {}): Promise<AsyncIterable<Buffer>> {
    const headers = { ...fields, ...(upload !== undefined && path === '/known' && { 'content-length': length }) };
    const method = upload === undefined ? 'GET' : 'POST';
    if (way.startsWith('HTTP/2')) return ask2(way, { ...headers, ':path': path, ':method': method }, upload);
    const options = { method, headers, agent: false };
    return new Promise<IncomingMessage>((resolve, reject) => {
      const request =
        way === 'TLS'
          ? https.request(secureUrl + path, { ...options, ca, servername: 'api.test' }, resolve)
          : http.request(served.url + path, options, resolve);
      request.on('error', reject);
      if (upload === undefined) request.end();
      else upload.pipe(request);
    });
  }

  async function ask2(way: Way, headers: http2.OutgoingHttpHeaders, upload?: Readable): Promise<AsyncIterable<Buffer>> {
    const settings = { initialWindowSize: MIB };
    const session =
      way === 'HTTP/2'
        ? http2.connect(served.url, { settings })
        : http2.connect(secureUrl, { settings, ca, servername: 'api.test' });
    await new Promise<void>((resolve, reject) => session.once('connect', () => resolve()).once('error', reject));
    session.setLocalWindowSize(4 * MIB);
    const stream = session.request(headers, { endStream: upload === undefined });
    stream.once('close', () => session.close());
    upload?.pipe(stream);
    return stream;
  }

  const WAYS: [Way, string, string][] = [
    ['plain', 'its length known', '/known'],
    ['plain', 'chunked', '/chunked'],
    ['TLS', 'its length known', '/known'],
    ['HTTP/2', 'its length unknown', '/chunked'],
    ['HTTP/2 over TLS', 'its length known', '/known'],
  ];

  it.each(WAYS)('is downloaded whole, in constant memory: %s, %s', async (way, what, path) => {
    const growth = await growthDuring(`download, ${way}, ${what}`, async () => {
      expect(await arrival(await ask(way, path))).toEqual(whole);
    });
    expect(growth).toBeLessThan(MOST_GROWTH);
  });

  it.each(WAYS)('is uploaded whole, in constant memory: %s, %s', async (way, what, path) => {
    const growth = await growthDuring(`upload, ${way}, ${what}`, async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of await ask(way, path, Readable.from(body()))) chunks.push(chunk);
      expect(JSON.parse(Buffer.concat(chunks).toString())).toEqual(whole);
    });
    expect(growth).toBeLessThan(MOST_GROWTH);
  });

  it.each<Way>(['plain', 'HTTP/2 over TLS'])('is compressed on its way, in constant memory: %s', async (way) => {
    const growth = await growthDuring(`download, ${way}, compressed`, async () => {
      const answer = await ask(way, '/compressed', undefined, { 'accept-encoding': 'gzip' });
      expect(await arrival(Readable.from(answer).pipe(createGunzip()))).toEqual(whole);
    });
    expect(growth).toBeLessThan(MOST_GROWTH);
  });

  it.each<Way>(['HTTP/2'])('passes a cache that has no room for it, in constant memory: %s', async (way) => {
    const growth = await growthDuring(`download, ${way}, past the cache`, async () => {
      expect(await arrival(await ask(way, '/cached'))).toEqual(whole);
    });
    expect(growth).toBeLessThan(MOST_GROWTH);
  });
});
