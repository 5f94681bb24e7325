import { createServer } from 'node:net';
import { beforeAll, it } from 'vitest';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';
import { answerOf, Http2Client } from '../support/http2-client.ts';
import { startUpstream } from '../support/upstream.ts';
import { cleanup } from '../support/cleanup.ts';
import http2 from 'node:http2';
import { ask, request } from '../support/raw-client.ts';

const R: Record<string, string> = {
  '/settings': 'HTTP/1.1 200 OK\r\nHTTP2-Settings: AAMAAABk\r\nContent-Length: 2\r\n\r\nok',
  '/te': 'HTTP/1.1 200 OK\r\nTE: gzip\r\nContent-Length: 2\r\n\r\nok',
  '/s600': 'HTTP/1.1 600 OK\r\nContent-Length: 2\r\n\r\nok',
  '/s999': 'HTTP/1.1 999 OK\r\nContent-Length: 2\r\n\r\nok',
  '/dup103': 'HTTP/1.1 103 Hints\r\nContent-Type: a\r\nContent-Type: b\r\nDate: x\r\nDate: y\r\nHTTP2-Settings: AAMAAABk\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
  '/duptrailer': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x\r\n\r\n2\r\nok\r\n0\r\nETag: a\r\nETag: b\r\nHTTP2-Settings: AAMAAABk\r\nLast-Modified: x\r\nLast-Modified: x\r\n\r\n',
  '/dup': 'HTTP/1.1 200 OK\r\nDate: a\r\nDate: b\r\nETag: a\r\nETag: b\r\nServer: x\r\nServer: y\r\nContent-Length: 2\r\n\r\nok',
  '/204len': 'HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n',
  '/204len5': 'HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n',
  '/304len': 'HTTP/1.1 304 No\r\nContent-Length: 5\r\n\r\n',
  '/304': 'HTTP/1.1 304 No\r\n\r\n',
  '/205': 'HTTP/1.1 205 No\r\nContent-Length: 0\r\n\r\n',
  '/205b': 'HTTP/1.1 205 No\r\nContent-Length: 2\r\n\r\nok',
  '/close': 'HTTP/1.1 200 OK\r\nConnection: close, x-foo\r\nX-Foo: 1\r\nProxy-Connection: x\r\n\r\nok',
  '/obs': 'HTTP/1.1 200 OK\r\nX-O: \xe9\xff\r\nContent-Length: 2\r\n\r\nok',
  '/empty': 'HTTP/1.1 200 OK\r\nX-O:\r\nX-Tab: a\tb\r\nContent-Length: 2\r\n\r\nok',
  '/odd': 'HTTP/1.1 200 OK\r\n!#$%&\'*+-.^_`|~: z\r\nContent-Length: 2\r\n\r\nok',
  '/chunkedhead': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
  '/pseudo': 'HTTP/1.1 200 OK\r\n:path: z\r\nContent-Length: 2\r\n\r\nok',
};
let gw: GatewayFixture;
beforeAll(async () => {
  const s = createServer((c) => {
    c.on('error', () => {});
    let got = '';
    c.on('data', (d) => {
      got += d.toString('latin1');
      if (!got.includes('\r\n\r\n')) return;
      const [m, path] = got.split(' ');
      got = '';
      let r = R[path!] ?? 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
      if (m === 'HEAD') r = r.slice(0, r.indexOf('\r\n\r\n') + 4);
      c.end(Buffer.from(r, 'latin1'));
    });
  });
  await new Promise<void>((r) => s.listen(0, '127.0.0.1', r));
  cleanup(async () => void s.close());
  const port = (s.address() as any).port;
  // h2 upstream
  const h2 = http2.createServer();
  h2.on('stream', (st, h, _f, raw) => { st.respond({ ':status': 200 }); st.end(JSON.stringify(raw)); });
  h2.on('sessionError', (e) => console.log('h2 upstream', e));
  await new Promise<void>((r) => h2.listen(0, '127.0.0.1', r));
  cleanup(async () => void h2.close());
  gw = await gatewayFixture({
    files: {
      'a.yaml': {
        pools: { p: { endpoints: [`http://127.0.0.1:${port}`], health: { passive: false } }, q: { http2: true, endpoints: [`http://127.0.0.1:${(h2.address() as any).port}`], health: {passive: false} } },
        routes: [{ name: 'p', pool: 'p', retry: false }, { name: 'hdr', match: { path: '/hdr' }, pool: 'p', headers: { response: { set: { } } } },
          { name: 'q', match: { path: '/q/*' }, pool: 'q', retry: false }, { name: 'qh', match: { path: '/qh' }, pool: 'q', headers: { request: { set: { } } } }],
      },
    },
  });
});
it('x', async () => {
  for (const method of ['GET', 'HEAD']) for (const p of [...Object.keys(R), '/hdr']) {
    const c = await Http2Client.connect(gw.url);
    try {
      const a = await c.ask(p, [':method', method]);
      const { ':status': _, via: _v, ...h } = a.headers as any;
      console.log(method, p, a.status, a.interim, a.code, JSON.stringify(a.body.toString().slice(0, 60)), JSON.stringify(h).slice(0, 200), JSON.stringify(a.trailers ?? null), c.goaways);
    } catch (e) { console.log(method, p, 'FAIL', String(e)); }
    c.session.destroy();
  }
  for (const fields of [['Host:', 'TE: trailers, gzip'], ['Host: a', 'HTTP2-Settings: aa', 'Upgrade: h2c', 'Connection: Upgrade, HTTP2-Settings'], ['Host: a', 'Cookie: a=1', 'Cookie: b=2'], ['Host: a', 'X-O: \xe9'], ['Host: a', '!#$%&\'*+-.^`|~: z', 'X-E:']]) {
    for (const path of ['/q/x', '/qh']) {
    const { responses } = await ask(gw.port, `GET ${path} HTTP/1.1\r\n${fields.join('\r\n')}\r\nConnection: close\r\n\r\n`).catch((e) => ({ responses: [{ status: String(e), body: '' }] })) as any;
    console.log(path, fields, responses[0]?.status, responses[0]?.body?.toString().slice(0, 300));
  }}
  console.log(gw.logs.filter((l) => l.level >= 40).map((l) => JSON.stringify(l).slice(0, 600)));
}, 60000);
