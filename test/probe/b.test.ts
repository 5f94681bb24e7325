import http2 from 'node:http2';
import { beforeAll, it } from 'vitest';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';
import { answerOf, Http2Client } from '../support/http2-client.ts';
import { startUpstream, byPath, hang, slow } from '../support/upstream.ts';
import { until } from '../support/until.ts';
import { setTimeout as pause } from 'node:timers/promises';

let gw: GatewayFixture;
beforeAll(async () => {
  const up = await startUpstream('a', byPath({ hang, slow: slow(100), nosize: (_q, r) => void r.end() , big: (_q, r) => void r.end(Buffer.alloc(3000000)), cacheable: (_q, r) => { setTimeout(() => { r.setHeader('cache-control', 'max-age=60'); r.end('x'.repeat(1000)); }, 100); } }));
  gw = await gatewayFixture({
    gateway: {listen: [{host: '127.0.0.1', port: 0, limits: { keepAlive: '1s' }}]},
    files: { 'a.yaml': { pools: { p: { endpoints: [up.url], health: { passive: false } } },
      routes: [{ name: 'p', match: {path: '/p/*'}, pool: 'p', retry: false, timeout: { idle: '300ms', head: '300ms', total: '1s' } },
       { name: 'known', match: { path: '/known' }, pool: 'p', auth: { apiKey: {} }, timeout: { idle: '300ms', head: '300ms', total: '1s' } } ] } },
  });
});
const inFlight = async () => (await gw.admin('/metrics')).body.split('\n').filter((l) => /in_flight|inflight|connections/.test(l) && !l.startsWith('#')).join(' | ');
it('window 0', async () => {
  for (const path of ['/none', '/known', '/p/big', '/../x', '/p/hang']) {
    const session = http2.connect(gw.url, { settings: { initialWindowSize: 0 } });
    session.on('error', () => {});
    const st = session.request({ ':path': path });
    st.on('response', (h) => console.log(path, h[':status']));
    st.on('close', () => console.log(path, 'closed', st.rstCode));
    st.on('error', () => {});
    await pause(2500);
    console.log(path, await inFlight());
    session.destroy();
    await pause(50);
    console.log(path, 'after', await inFlight());
  }
}, 60000);
it('expect', async () => {
  const c = await Http2Client.connect(gw.url);
  for (const e of ['100-Continue', '100-continue', 'fancy']) {
    const st = c.open([':method', 'POST', ':path', '/p/x', 'expect', e]);
    const a = answerOf(st);
    const t = setTimeout(() => st.end('late'), 1000);
    st.once('continue', () => { console.log('continued', e); clearTimeout(t); st.end('now'); });
    const r = await a;
    console.log(e, r.status, r.interim, r.code);
  }
});
it('head', async () => {
  const c = await Http2Client.connect(gw.url);
  for (const m of ['GET', 'HEAD']) console.log(m, (await c.ask('/p/nosize', [':method', m])).status);
});
