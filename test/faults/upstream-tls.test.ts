/** Whom the gateway believes to be its upstream. Certificates are made by openssl. */
import { copyFileSync } from 'node:fs';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import type { SecureVersion, TLSSocket } from 'node:tls';
import { beforeAll, describe, expect, it } from 'vitest';
import { Certificates, hasOpenssl } from '../support/certificates.ts';
import { cleanup } from '../support/cleanup.ts';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';

const SPIFFE = 'spiffe://fleet.test/orders';
const ALT_NAMES = `DNS:fleet.test,DNS:*.fleet.test,URI:${SPIFFE},IP:127.0.0.9`;

describe.skipIf(!hasOpenssl('test/faults/upstream-tls.test.ts'))('an https endpoint', () => {
  let gateway: GatewayFixture;
  /** What the upstream saw, by the latest request. */
  const seen = {
    servername: '' as string | false,
    clientName: '',
    host: '',
    alpn: '' as string | false | null,
    connections: 0,
  };
  let certificates: Certificates;

  const use = (name: string) => {
    for (const kind of ['pem', 'key'])
      copyFileSync(certificates.file(`${name}.${kind}`), certificates.file(`current.${kind}`));
  };

  async function startServer(name: string, maxVersion: SecureVersion = 'TLSv1.3'): Promise<string> {
    const server = https.createServer(
      {
        key: certificates.pem(name, 'key'),
        cert: certificates.pem(name),
        ca: certificates.pem('ca'),
        maxVersion,
        ALPNProtocols: ['http/1.1'],
        requestCert: true,
        rejectUnauthorized: false,
      },
      (req, res) => {
        const socket = req.socket as TLSSocket & { servername: string | false };
        const { subject } = socket.getPeerCertificate();
        const clientName = String((subject as { CN?: string } | undefined)?.CN ?? '');
        const { servername, alpnProtocol: alpn } = socket;
        Object.assign(seen, { servername, clientName, host: req.headers.host, alpn });
        res.end('secured');
      },
    );
    server.on('secureConnection', () => seen.connections++);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    cleanup(async () => void server.close());
    return `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  beforeAll(async () => {
    certificates = new Certificates();
    certificates.authority('ca');
    certificates.issue('server', { subject: '/CN=fleet.test', altNames: ALT_NAMES });
    certificates.issue('nameless', { subject: '/CN=fleet.test' });
    certificates.issue('gateway');
    certificates.issue('renewed');
    use('gateway');
    const url = await startServer('server');
    const pool = (tls?: object, at = url) => ({ endpoints: [at], health: { passive: false }, ...(tls && { tls }) });
    const ca = certificates.file('ca.pem');
    const pinned = (...subjectAltNames: string[]) => pool({ ca, subjectAltNames });
    const client = { cert: certificates.file('current.pem'), key: certificates.file('current.key') };
    const pools = {
      unknown: pool(),
      wrong: pool({ ca, serverName: 'other.test' }),
      right: pool({ ca, serverName: 'fleet.test' }),
      mutual: pool({ ca, serverName: 'fleet.test', ...client }),
      blind: pool({ verify: false }),
      'pin-uri': pinned(SPIFFE),
      'pin-any': pinned('other.test', 'FLEET.test'),
      'pin-ip': pinned('IP:127.0.0.9'),
      'pin-wildcard': pinned('DNS:*.fleet.test'),
      'pin-other': pinned('spiffe://fleet.test/users'),
      'pin-prefix': pinned('spiffe://fleet.test/order'),
      'pin-case': pinned('spiffe://fleet.test/ORDERS'),
      'pin-below': pinned('a.fleet.test'),
      'pin-type': pinned(`DNS:fleet.test.evil`, 'URI:fleet.test'),
      'pin-strangers': pool({ subjectAltNames: [SPIFFE] }),
      'pin-nameless': pool({ ca, subjectAltNames: ['fleet.test'] }, await startServer('nameless')),
      old: pool({ ca, serverName: 'fleet.test' }, await startServer('server', 'TLSv1.2')),
      new: pool({ ca, serverName: 'fleet.test', minVersion: '1.3' }, await startServer('server', 'TLSv1.2')),
    };
    const routes = Object.keys(pools).map((name) => ({ name, match: { path: `/${name}` }, pool: name, retry: false }));
    gateway = await gatewayFixture({ files: { 'tls.yaml': { pools, routes } }, gateway: { threads: 2 } });
  });

  const ask = async (path: string) => {
    const response = await fetch(gateway.url + path);
    return { status: response.status, proxyStatus: response.headers.get('proxy-status'), text: await response.text() };
  };

  it.each(['/unknown', '/wrong'])('that cannot prove who it is gets nothing: %s', async (path) => {
    const before = seen.host;
    expect(await ask(path)).toMatchObject({ status: 502, proxyStatus: 'aya; error=tls_certificate_error' });
    expect(seen.host).toBe(before);
  });

  it('leaves no connection behind when it fails to, a hundred times', async () => {
    const answers = await Promise.all(Array.from({ length: 100 }, () => ask('/wrong')));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([502]));
    const { body } = await gateway.admin('/metrics');
    const open = [...body.matchAll(/^aya_upstream_connections\{pool="wrong".*\} (\d+)$/gm)].map(([, count]) => count);
    expect(open).toEqual(['0']);
  });

  it('that proves its name is asked by that name, whatever Host the client sent', async () => {
    expect(await ask('/right')).toMatchObject({ status: 200, text: 'secured' });
    expect(seen).toMatchObject({ servername: 'fleet.test', clientName: '', host: `127.0.0.1:${gateway.port}` });
  });

  it('keeps its connection for the next request', async () => {
    await ask('/right');
    const before = seen.connections;
    await ask('/right');
    expect(seen.connections).toBe(before);
  });

  it('is shown the client certificate', async () => {
    expect(await ask('/mutual')).toMatchObject({ status: 200 });
    expect(seen.clientName).toBe('gateway');
  });

  it('is shown the renewed one after a reload, on every thread', async () => {
    use('renewed');
    expect((await gateway.reload()).status).toBe(200);
    const names = await Promise.all(
      Array.from({ length: 8 }, async () => {
        expect(await ask('/mutual')).toMatchObject({ status: 200 });
        return seen.clientName;
      }),
    );
    expect(new Set(names)).toEqual(new Set(['renewed']));
  });

  it('keeps what serves when a reload brings a key that does not fit', async () => {
    copyFileSync(certificates.file('gateway.key'), certificates.file('current.key'));
    const { status, body } = await gateway.reload();
    expect(status).not.toBe(200);
    expect(body).toContain('mutual');
    expect(await ask('/mutual')).toMatchObject({ status: 200 });
    use('renewed');
    expect((await gateway.reload()).status).toBe(200);
  });

  it.each(['/pin-uri', '/pin-any', '/pin-ip', '/pin-wildcard'])(
    'whose certificate holds a pinned name is believed, whatever it was asked by: %s',
    async (path) => {
      expect(await ask(path)).toMatchObject({ status: 200, text: 'secured' });
      expect(seen.alpn).toBe('http/1.1');
    },
  );

  it.each(['/pin-other', '/pin-prefix', '/pin-case', '/pin-below', '/pin-type', '/pin-strangers', '/pin-nameless'])(
    'whose certificate holds none of them, or comes from elsewhere, gets nothing: %s',
    async (path) => {
      const before = seen.connections;
      expect(await ask(path)).toMatchObject({ status: 502, proxyStatus: 'aya; error=tls_certificate_error' });
      expect(seen.connections - before).toBeLessThanOrEqual(1);
    },
  );

  it('is not spoken to in an older version than wanted', async () => {
    expect(await ask('/old')).toMatchObject({ status: 200 });
    expect(await ask('/new')).toMatchObject({ status: 502, proxyStatus: 'aya; error=tls_protocol_error' });
  });

  it('is believed unseen only where the configuration says so', async () => {
    expect(await ask('/blind')).toMatchObject({ status: 200 });
  });
});
