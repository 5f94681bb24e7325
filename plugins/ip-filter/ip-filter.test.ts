import { beforeAll, describe, expect, it } from 'vitest';
import { gatewayFixture, type GatewayFixture } from '../../test/support/gateway.ts';
import { ask, RawConnection, request } from '../../test/support/raw-client.ts';
import { startUpstream } from '../../test/support/upstream.ts';
import { checkIpFilter, compileIpFilter } from './index.ts';

let gateway: GatewayFixture;
let url = '';

const route = (name: string, ipFilter: unknown) => ({ name, match: { path: `/${name}/*` }, pool: 'a', ipFilter });

const files = () => ({
  pools: { a: { endpoints: [url] } },
  routes: [
    route('office', { allow: ['10.0.0.0/8', '2001:db8::/32'], deny: ['10.0.0.66'] }),
    route('not-one', { deny: ['203.0.113.7', '2001:db8::bad'] }),
    route('local', { allow: ['127.0.0.0/8', '::1'] }),
    route('counted', { allow: ['127.0.0.0/8'] }),
  ],
});

beforeAll(async () => {
  ({ url } = await startUpstream('a'));
  gateway = await gatewayFixture({
    gateway: {
      trustedProxies: ['127.0.0.0/8'],
      listen: [
        { host: '127.0.0.1', port: 0 },
        { host: '::1', port: 0 },
      ],
    },
    files: { 'a.yaml': files() },
  });
});

/** The status for a client that a trusted proxy names. */
async function statusOf(path: string, forwardedFor?: string): Promise<number> {
  const fields = forwardedFor === undefined ? [] : [`X-Forwarded-For: ${forwardedFor}`];
  const { responses } = await ask(gateway.port, request('GET', path, 'a.test', fields));
  return responses[0]!.status;
}

describe('a route with an IP filter', () => {
  it.each([
    ['in a network of allow', '10.1.2.3', 200],
    ['in one of IPv6', '2001:db8::7', 200],
    ['that is IPv4 mapped to IPv6', '::ffff:10.1.2.3', 200],
    ['that is mapped, in hexadecimal', '::ffff:0a01:0203', 200],
    ['with a port', '[2001:db8::7]:4711', 200],
    ['denied', '10.0.0.66', 403],
    ['denied, mapped to IPv6', '::ffff:10.0.0.66', 403],
    ['denied, mapped in hexadecimal', '::ffff:a00:42', 403],
    ['in no network', '192.0.2.1', 403],
    ['in no network, of IPv6', '2001:db9::1', 403],
    ['that a client invented before the real one', '10.1.2.3, 192.0.2.1', 403],
  ])('meets a client %s: %s', async (_, address, status) => {
    expect(await statusOf('/office/x', address)).toBe(status);
  });

  it('lets everybody else in when it only denies', async () => {
    expect(await statusOf('/not-one/x', '203.0.113.7')).toBe(403);
    expect(await statusOf('/not-one/x', '2001:DB8:0::bad')).toBe(403);
    expect(await statusOf('/not-one/x', '203.0.113.8')).toBe(200);
  });

  it.each([':::', '999.1.1.1', '203.0.113.007'])('lets nobody in whose address is none: %s', async (address) => {
    expect(await statusOf('/not-one/x', address)).toBe(403);
  });

  it('goes by the peer where no trusted proxy says otherwise', async () => {
    expect(await statusOf('/office/x')).toBe(403);
    expect(await statusOf('/local/x')).toBe(200);
  });

  it('knows clients of IPv6, and believes none of them that is no proxy', async () => {
    const [, port] = gateway.ports;
    const connection = await RawConnection.open(port!, '::1');
    connection.send(request('GET', '/local/x', 'a.test'));
    expect((await connection.answer()).status).toBe(200);
    connection.send(request('GET', '/office/x', 'a.test', ['X-Forwarded-For: 10.1.2.3']));
    expect((await connection.answer()).status).toBe(403);
    connection.close();
  });

  it('says so as a problem that names no network', async () => {
    const { responses } = await ask(gateway.port, request('GET', '/office/x', 'a.test'));
    expect(responses[0]!.field('content-type')).toBe('application/problem+json');
    expect(JSON.parse(responses[0]!.text())).toMatchObject({ status: 403, error: 'http_request_denied' });
    expect(responses[0]!.text()).not.toContain('10.0');
  });

  it('counts its decisions, and keeps them over a reload that changes them', async () => {
    expect(await statusOf('/counted/x')).toBe(200);
    expect(await statusOf('/counted/x', '192.0.2.9')).toBe(403);
    const changed = files();
    changed.routes[3]!.ipFilter = { allow: ['192.0.2.9'] };
    await gateway.write('a.yaml', changed);
    expect((await gateway.reload()).status).toBe(200);
    expect(await statusOf('/counted/x', '192.0.2.9')).toBe(200);
    expect(await statusOf('/counted/x')).toBe(403);
    const page = (await gateway.admin('/metrics')).body;
    const decisions = page.split('\n').filter((line) => line.startsWith('aya_ip_filter_total{route="counted"'));
    expect(decisions).toEqual([
      'aya_ip_filter_total{route="counted",decision="allow"} 2',
      'aya_ip_filter_total{route="counted",decision="deny"} 2',
    ]);
  });

  it('stays as it was when a reload brings a network that is none', async () => {
    const broken = files();
    broken.routes[0]!.ipFilter = { allow: ['10.0.0/8'] };
    await gateway.write('a.yaml', broken);
    expect((await gateway.reload()).body).toContain("'10.0.0/8' is not a network: write 10.0.0.0/8");
    expect(await statusOf('/office/x', '10.1.2.3')).toBe(200);
  });
});

describe('an address', () => {
  it('counts without its zone', () => {
    const admits = compileIpFilter({ allow: ['fe80::/10'], deny: ['fe80::66'] });
    expect(['fe80::1%eth0', 'fe80::66%eth0', '%eth0'].map(admits)).toEqual([true, false, false]);
  });
});

describe('a filter that cannot be meant is named', () => {
  it.each([
    [{}, [], 'needs allow or deny'],
    [{ allow: ['10.0.0.0/33'] }, ['allow', 0], 'its prefix length is a number from 0 to 32'],
    [{ deny: ['::1', 'localhost'] }, ['deny', 1], "'localhost' is not a network"],
    [{ allow: ['10.1.0.0/16'], deny: ['10.0.0.0/8'] }, ['allow', 0], "'10.1.0.0/16' lets nobody in: '10.0.0.0/8'"],
    [{ allow: ['10.0.0.1'], deny: ['10.0.0.1'] }, ['allow', 0], 'lets nobody in'],
    [{ allow: ['2001:db8::/48'], deny: ['::/0'] }, ['allow', 0], 'lets nobody in'],
  ])('%j', (options, path, message) => {
    const faults = checkIpFilter(options);
    expect(faults.map((fault) => fault.path)).toEqual([path]);
    expect(faults[0]!.message).toContain(message);
  });

  it('a hole in what is allowed is none of them', () => {
    expect(checkIpFilter({ allow: ['10.0.0.0/8', '::1'], deny: ['10.0.0.66', '192.0.2.0/24'] })).toEqual([]);
  });
});
