/** Whom the gateway believes to be its upstream. Certificates are made by openssl. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { cleanup } from '../support/cleanup.ts';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';

const hasOpenssl = (() => {
  try {
    return execFileSync('openssl', ['version']).length > 0;
  } catch {
    console.warn('test/faults/upstream-tls.test.ts is skipped: openssl is not installed');
    return false;
  }
})();

describe.skipIf(!hasOpenssl)('an https endpoint', () => {
  let gateway: GatewayFixture;
  /** What the upstream saw, by the latest request. */
  const seen = { servername: '' as string | false, clientName: '', host: '', connections: 0 };

  beforeAll(async () => {
    const dir = await mkdtemp(join(tmpdir(), 'aya-tls-'));
    cleanup(() => rm(dir, { recursive: true, force: true }));
    makeCertificates(dir);
    const file = (name: string) => join(dir, name);
    const server = https.createServer(
      {
        key: readFileSync(file('server.key')),
        cert: readFileSync(file('server.pem')),
        ca: readFileSync(file('ca.pem')),
        requestCert: true,
        rejectUnauthorized: false,
      },
      (req, res) => {
        const socket = req.socket as TLSSocket & { servername: string | false };
        const { subject } = socket.getPeerCertificate();
        const clientName = String((subject as { CN?: string } | undefined)?.CN ?? '');
        Object.assign(seen, { servername: socket.servername, clientName, host: req.headers.host });
        res.end('secured');
      },
    );
    server.on('secureConnection', () => seen.connections++);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    cleanup(async () => void server.close());
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const pool = (tls?: object) => ({ endpoints: [url], health: { passive: false }, ...(tls && { tls }) });
    const ca = file('ca.pem');
    const pools = {
      unknown: pool(),
      wrong: pool({ ca, serverName: 'other.test' }),
      right: pool({ ca, serverName: 'fleet.test' }),
      mutual: pool({ ca, serverName: 'fleet.test', cert: file('client.pem'), key: file('client.key') }),
      blind: pool({ verify: false }),
    };
    const routes = Object.keys(pools).map((name) => ({ name, match: { path: `/${name}` }, pool: name, retry: false }));
    gateway = await gatewayFixture({ files: { 'tls.yaml': { pools, routes } } });
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

  it('is believed unseen only where the configuration says so', async () => {
    expect(await ask('/blind')).toMatchObject({ status: 200 });
  });
});

/** ca.pem; server.pem for fleet.test; client.pem for "gateway". */
function makeCertificates(dir: string): void {
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' });
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  openssl('req', '-x509', ...newKey, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=test ca');
  const issue = (name: string, subject: string, ...extensions: string[]) => {
    const signed = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-days', '2', '-subj', subject, ...extensions];
    openssl('req', '-x509', ...newKey, '-keyout', `${name}.key`, '-out', `${name}.pem`, ...signed);
  };
  issue(
    'server',
    '/CN=fleet.test',
    '-addext',
    'subjectAltName=DNS:fleet.test',
    '-addext',
    'basicConstraints=critical,CA:FALSE',
  );
  issue('client', '/CN=gateway', '-addext', 'basicConstraints=critical,CA:FALSE');
}
