import { once } from 'node:events';
import http2, { type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { expect, it } from 'vitest';
import { cleanup } from '../../../test/support/cleanup.ts';
import { until } from '../../../test/support/until.ts';
import { Http2Response } from './response.ts';

it('is not reached from its stream once that is closed: a dead stream takes nothing with it (docs/decisions/0026)', async () => {
  const server = http2.createServer();
  const closed: { stream: ServerHttp2Stream; res: Http2Response }[] = [];
  server.on('stream', (stream) => {
    const res = new Http2Response(stream, (_, closing) => void closed.push({ stream, res: closing }));
    expect(ownValues(stream)).toContain(res);
    res.writeHead(200, ['content-type', 'text/plain']);
    res.end('answer');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  cleanup(async () => {
    client.destroy();
    server.close();
  });
  client.request({ ':path': '/' }).resume().end();
  client.request({ ':path': '/', ':method': 'POST' }).resume().end('a body');
  await until(() => closed.length === 2, 'both answers');
  for (const { stream, res } of closed) {
    expect(ownValues(stream)).not.toContain(res);
  }
});

function ownValues(stream: ServerHttp2Stream): unknown[] {
  return Reflect.ownKeys(stream).map((key) => (stream as unknown as Record<PropertyKey, unknown>)[key]);
}
