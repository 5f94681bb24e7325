import { describe, expect, it } from 'vitest';
import { gatewayFixture } from '../../test/support/gateway.ts';
import { startUpstream } from '../../test/support/upstream.ts';
import { purge } from './purge.ts';

const NOTHING = { prefix: [], tag: [] };

describe('aya purge', () => {
  it('has the running gateway forget by URL, prefix and tag, and says how many', async () => {
    const upstream = await startUpstream('shop', (_, response) => {
      response.writeHead(200, { 'cache-tag': 'red', 'content-length': '2' }).end('ok');
    });
    const gateway = await gatewayFixture({
      files: {
        'shop.yaml': {
          pools: { shop: { endpoints: [upstream.url] } },
          routes: [{ name: 'shop', match: { path: '/*' }, pool: 'shop', cache: { ttl: '1h' } }],
        },
      },
    });
    const { dir, url, adminUrl: admin } = gateway;
    const fill = async () => {
      for (const path of ['/a', '/b/1', '/b/2']) await fetch(url + path).then((response) => response.text());
    };
    await fill();
    expect(upstream.requests).toBe(3);
    expect(await purge([`${url}/a`], { ...NOTHING, dir, admin })).toEqual({
      out: 'purged 1 stored answer',
      exitCode: 0,
    });
    expect(await purge([], { dir, admin, prefix: [`${url}/b/`], tag: [] })).toMatchObject({
      out: 'purged 2 stored answers',
    });
    await fill();
    expect(upstream.requests).toBe(6);
    expect(await purge([], { dir, admin, prefix: [], tag: ['red'] })).toMatchObject({ out: 'purged 3 stored answers' });
    await expect(purge(['/a'], { ...NOTHING, dir, admin })).rejects.toThrow('scheme and host belong to it');
    expect(await purge([], { ...NOTHING, dir, admin })).toMatchObject({ exitCode: 2 });
  });
});
