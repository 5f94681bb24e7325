import { beforeAll, it } from 'vitest';
import { once } from 'node:events';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';
import { answerOf, Http2Client } from '../support/http2-client.ts';
import { startUpstream, byPath, slow, echo, type Upstream } from '../support/upstream.ts';
import { startHttp2Upstream } from '../support/http2-upstream.ts';
import { metric } from '../support/metrics.ts';
import { until } from '../support/until.ts';
import { setTimeout as pause } from 'node:timers/promises';

let gw: GatewayFixture; let up: Upstream;
let n = 0;
beforeAll(async () => {
  up = await startUpstream('a', byPath({ slow: slow(150),
    big: (q, r) => { r.setHeader('content-type', 'text/plain'); r.end(Buffer.alloc(3000000, 'abc ')); },
    sse: (q, r) => { r.writeHead(200, { 'content-type': 'text/event-stream' }); r.write('data: 1\n\n'); },
    cached: (q, r) => { n++; setTimeout(() => { r.setHeader('cache-control', 'max-age=60'); r.setHeader('etag', '"e"'); r.setHeader('content-type', 'text/plain'); r.end('0123456789'.repeat(100)); }, 100); },
    flaky: (q, r, u) => { if (u.requests % 2 === 1) { q.socket.destroy(); return; } echo(q, r, u); },
  }));
  const nothing = await startHttp2Upstream('b', (st) => st.close(0));
  const half = await startHttp2Upstream('c', (st) => { st.respond({ ':status': 200 }); st.write('half'); setTimeout(() => st.close(0), 50); });
  gw = await ((o: any) => gatewayFixture(o).catch((e) => { console.log(JSON.stringify(e.problems)); throw e; }))({
    gateway: {listen: [{host: '127.0.0.1', port: 0, limits: { requestTimeout: '700ms', headersTimeout: '500ms' }}], accessLog: {enabled: true, file: 'a.log'}},
    files: { 'a.yaml': { pools: { p: { endpoints: [up.url], health: { passive: false } }, b: { endpoints: [nothing.url], http2: true, health: {passive: false} }, c: { endpoints: [half.url], http2: true, health: {passive: false} } },
      routes: [{ name: 'p', match: {path: '/p/*'}, pool: 'p', limits: { body: '1KiB' } },
       { name: 'cache', match: { path: '/c/*' }, pool: 'p', cache: { ttl: '10s' } },
       { name: 'zip', match: { path: '/z/*' }, pool: 'p', compress: true },
       { name: 'cors', match: { path: '/cors', methods: ['GET','PUT'] }, pool: 'p', cors: { allowOrigins: ['https://a.test'] } },
       { name: 'csrf', match: { path: '/csrf' }, pool: 'p', csrf: {} },
       { name: 'retry', match: { path: '/r/*' }, pool: 'p', retry: { attempts: 2, on: ['connect', 'reset'] } },
       { name: 'val', match: { path: '/v/*' }, pool: 'p', validate: { body: { schema: { type: 'object', required: ['a'] } } } },
       { name: 'basic', match: { path: '/basic' }, pool: 'p', auth: { forwardAuth: { pool: 'p', path: '/x' } } },
       { name: 'b', match: { path: '/b' }, pool: 'b', retry: false },
       { name: 'cc', match: { path: '/cc' }, pool: 'c', retry: false },
       ] } },
  });
});
const show = (l: string, a: any) => console.log(l, a.status, a.code, a.interim, a.body.length, a.body.toString().slice(0, 120), JSON.stringify(a.headers).slice(0, 330));
it('x', async () => {
  const c = await Http2Client.connect(gw.url);
  const T = async (l: string, f: () => Promise<any>) => { try { show(l, await f()); } catch (e) { console.log(l, 'FAIL', String(e)); } };
  // limits.body chunked
  await T('body over', async () => { const s = c.open([':method', 'POST', ':path', '/p/x']); const a = answerOf(s); for (let i = 0; i < 30; i++) s.write(Buffer.alloc(100)); s.end(); return a; });
  await T('cl over', () => c.ask('/p/x', [':method', 'POST', 'content-length', '5000'], Buffer.alloc(5000)));


  await T('valid', () => c.ask('/v/x', [':method', 'POST', 'content-type', 'application/json'], '{"a":1}'));
  await T('invalid', () => c.ask('/v/x', [':method', 'POST', 'content-type', 'application/json'], '{"b":1}'));
  await T('cors', () => c.ask('/cors', [':method', 'OPTIONS', 'origin', 'https://a.test', 'access-control-request-method', 'PUT']));
  await T('cors get', () => c.ask('/cors', ['origin', 'https://a.test']));
  await T('csrf post', () => c.ask('/csrf', [':method', 'POST', 'origin', 'https://evil.test', 'sec-fetch-site', 'cross-site'], 'x'));
  await T('csrf get', () => c.ask('/csrf', []));
  await T('fa body', () => c.ask('/basic', [':method', 'POST'], 'bodybody'));
  up.requests = 0;
  await T('retry POST body', () => c.ask('/r/flaky', [':method', 'PUT'], 'again'));
  await T('retry GET', () => c.ask('/r/flaky'));
  // cache collapse with reset of leader
  n = 0;
  const lead = c.open([':path', '/c/cached']); await pause(30);
  const f1 = c.ask('/c/cached'); const f2 = c.ask('/c/cached'); await pause(20); lead.close(8);
  await T('follower', () => f1); await T('follower2', () => f2); console.log('asked', n);
  await T('head', () => c.ask('/c/cached', [':method', 'HEAD']));
  await T('range', () => c.ask('/c/cached', ['range', 'bytes=2-5']));
  await T('304', () => c.ask('/c/cached', ['if-none-match', '"e"']));
  // compress
  const z = c.open([':path', '/z/big', 'accept-encoding', 'gzip']); await once(z, 'response'); z.close(8);
  await T('zip', () => c.ask('/z/big', ['accept-encoding', 'zstd, gzip']));
  const e = c.open([':path', '/z/sse', 'accept-encoding', 'gzip']); const [d] = await once(e, 'data'); console.log('sse', String(d)); e.close(8);
  await T('h2up close(0)', () => c.ask('/b'));
  await T('h2up half close(0)', () => c.ask('/cc'));
  await T('pseudo in te', () => c.ask('/p/x', ['te', 'gzip']));
  await T('host only', () => c.ask('/p/x', [':authority', 'A.test:80']));
  await T('abs', () => c.ask('/p/x?a=%20b#f'));
  await T('hop', () => c.ask('/p/x', ['x-aya-consumer', 'evil', 'x-forwarded-for', '1.2.3.4', 'proxy-authorization', 'x']));
  await pause(100);
  console.log('inflight', await metric(gw, 'aya_requests_in_flight'), await metric(gw, 'aya_endpoint_in_flight'), up.aborted, up.open);
  console.log(gw.logs.filter((l) => l.level >= 40).map((l) => JSON.stringify(l).slice(0, 400)));
}, 60000);
