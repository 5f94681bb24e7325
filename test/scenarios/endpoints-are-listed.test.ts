/** Endpoints that stand in a file, or that a registry lists: followed as they change, and kept when what changed is wrong. */
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cleanup } from '../support/cleanup.ts';
import { shown, startDiscovering, statusOf, urlsOf } from '../support/discovery.ts';
import { startLoad } from '../support/load.ts';
import { until } from '../support/until.ts';
import { startUpstream } from '../support/upstream.ts';

describe('in a file', () => {
  it('they are followed as it changes; what is wrong is named by its place, and what was before stays', async () => {
    const [one, two] = [await startUpstream('orders-1'), await startUpstream('orders-2')];
    const gateway = await startDiscovering({ discover: { file: 'orders.list.yaml' } });
    const write = (text: string) => writeFile(join(gateway.dir, 'orders.list.yaml'), text);
    expect(await statusOf(gateway)).toBe(503);
    await write(`- ${one.url}\n`);
    await until(async () => (await statusOf(gateway)) === 200, 'the endpoint');
    const load = startLoad(gateway.url, { clients: 2, everyMs: 2 });
    await write(JSON.stringify({ endpoints: [{ url: two.url, weight: 3 }] }));
    await until(() => load.byInstance['orders-2'], 'load on the other');
    for (const [text, says] of [
      [`- ${one.url}\n- { url: ${two.url}, wieght: 3 }\n`, /^orders\.list\.yaml:2:\d+: error: unknown key 'wieght'/],
      ['- ${HOME}\n', /^orders\.list\.yaml:1:3: error/],
      ['- [\n', /^orders\.list\.yaml:2:1: error: not valid YAML/],
      ['[]\n', /^an empty list$/],
    ] as const) {
      await write(text);
      await until(async () => says.test((await shown(gateway)).discovery.failure ?? ''), `${says}`);
      expect(await urlsOf(gateway)).toEqual([two.url]);
    }
    await load.stop();
    expect(load.failures).toEqual([]);
  });
});

describe('at a registry', () => {
  it('they are asked for, and what it cannot say leaves what was before', async () => {
    const [one, two] = [await startUpstream('orders-1'), await startUpstream('orders-2')];
    let answer: RequestListener = (_, response) =>
      response.writeHead(200, { etag: '"1"' }).end(JSON.stringify([one.url]));
    const tags: (string | undefined)[] = [];
    const registry = await startRegistry((request, response) => {
      tags.push(request.headers['if-none-match']);
      answer(request, response);
    });
    const gateway = await startDiscovering({
      discover: { http: `${registry}/orders?token=x`, interval: '100ms' },
    });
    expect(await statusOf(gateway)).toBe(200);
    answer = (_, response) => response.writeHead(304).end();
    tags.length = 0;
    await until(() => tags.length > 1, 'conditional questions');
    expect(tags.at(-1)).toBe('"1"');
    expect((await shown(gateway)).discovery).toMatchObject({
      source: `http ${registry}/orders`,
      endpoints: 1,
      failures: 0,
    });

    answer = (_, response) => response.writeHead(500).end();
    await until(async () => (await shown(gateway)).discovery.failure?.endsWith('status 500'), 'the failure to show');
    expect(await statusOf(gateway)).toBe(200);
    answer = (_, response) => response.end(JSON.stringify([two.url]));
    await until(async () => (await urlsOf(gateway))[0] === two.url, 'the other endpoint');
    expect(await statusOf(gateway)).toBe(200);
  });
});

async function startRegistry(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanup(async () => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
