/** Certificates of clients: from the handshake, and as a trusted proxy forwards them. */
import { execFileSync } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasOpenssl } from '../../../test/support/certificates.ts';
import { gatewayFixture, type GatewayFixture } from '../../../test/support/gateway.ts';
import { startUpstream, type Echo } from '../../../test/support/upstream.ts';

const dir = mkdtempSync(join(tmpdir(), 'aya-mtls-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' });

function selfSigned(name: string, subject: string, ...more: string[]): void {
  openssl(
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30'],
    ...['-subj', subject, '-keyout', `${name}.key`, '-out', `${name}.pem`, ...more],
  );
}

function issued(name: string, subject: string, san: string): void {
  selfSigned(name, subject, '-CA', 'ca.pem', '-CAkey', 'ca.key', '-addext', `subjectAltName=${san}`);
}

const pem = (name: string) => readFileSync(join(dir, `${name}.pem`), 'utf8');

let gateway: GatewayFixture;
let port: number;

const canIssue = hasOpenssl('plugins/auth/mtls/mtls.test.ts');

beforeAll(async () => {
  if (!canIssue) return;
  selfSigned('ca', '/CN=clients');
  selfSigned('server', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1');
  issued('mobile', '/O=Example/CN=mobile', 'URI:spiffe://fleet/mobile,DNS:mobile.test');
  issued('printer', '/CN=printer', 'DNS:printer.test');
  issued('stranger', '/CN=stranger', 'DNS:stranger.test');
  selfSigned('forged', '/O=Example/CN=mobile', '-addext', 'subjectAltName=URI:spiffe://fleet/mobile');

  const upstream = await startUpstream('orders');
  const fingerprint = createHash('sha256')
    .update(new X509Certificate(pem('printer')).raw)
    .digest('hex');
  const tls = { cert: join(dir, 'server.pem'), key: join(dir, 'server.key'), clientCa: join(dir, 'ca.pem') };
  gateway = await gatewayFixture({
    gateway: {
      listen: [
        { host: '127.0.0.1', port: 0 },
        { host: '127.0.0.1', port: 0, tls: { ...tls, clientAuth: 'optional' } },
      ],
      trustedProxies: ['127.0.0.1'],
      consumers: [
        { name: 'mobile', groups: ['partners'], certificates: [{ san: 'URI:spiffe://fleet/mobile' }] },
        { name: 'printer', certificates: [{ fingerprint, subject: 'CN=printer' }] },
        { name: 'wrong', certificates: [{ fingerprint, subject: 'CN=other' }] },
      ],
    },
    files: {
      'orders.yaml': {
        pools: { orders: { endpoints: [upstream.url] } },
        routes: [
          { name: 'known', match: { path: '/known' }, pool: 'orders', auth: { mtls: {} } },
          { name: 'any', match: { path: '/any' }, pool: 'orders', auth: { mtls: { unknown: 'allow' } } },
          {
            name: 'proxied',
            match: { path: '/proxied' },
            pool: 'orders',
            auth: { mtls: { forwarded: 'client-cert' } },
          },
          {
            name: 'meshed',
            match: { path: '/meshed' },
            pool: 'orders',
            auth: { mtls: { forwarded: 'x-forwarded-client-cert' } },
          },
        ],
      },
    },
  });
  port = gateway.ports[1]!;
});

interface Got {
  readonly status: number;
  readonly consumer: string | undefined;
  readonly principal: string | undefined;
}

function get(path: string, client?: string): Promise<Got> {
  const certificate = client === undefined ? {} : { cert: pem(client), key: readFileSync(join(dir, `${client}.key`)) };
  return new Promise((resolve, reject) => {
    const options = { port, host: '127.0.0.1', path, agent: false, rejectUnauthorized: false, ...certificate };
    https
      .get(options, (response) => {
        response.setEncoding('utf8');
        let text = '';
        response.on('data', (chunk: string) => (text += chunk));
        response.on('end', () => resolve(got(response.statusCode!, text)));
      })
      .on('error', reject);
  });
}

function got(status: number, text: string): Got {
  const { fields = [] } = JSON.parse(text) as Partial<Echo>;
  const value = (name: string) => fields[fields.indexOf(name) + 1 || -1];
  return { status, consumer: value('x-aya-consumer'), principal: value('x-aya-principal') };
}

describe.skipIf(!canIssue)('a certificate of the handshake', () => {
  it('is found by its alternative name', async () => {
    expect(await get('/known', 'mobile')).toEqual({
      status: 200,
      consumer: 'mobile',
      principal: 'CN=mobile,O=Example',
    });
  });

  it('is found by fingerprint and subject, when both hold', async () => {
    expect(await get('/known', 'printer')).toMatchObject({ status: 200, consumer: 'printer' });
  });

  it.each([undefined, 'stranger', 'forged'])('does not let in: %s', async (client) => {
    expect((await get('/known', client)).status).toBe(403);
  });

  it('may be nobody’s, where the route says so, but never unverified', async () => {
    expect(await get('/any', 'stranger')).toEqual({ status: 200, consumer: undefined, principal: 'CN=stranger' });
    expect((await get('/any', 'forged')).status).toBe(403);
  });
});

describe.skipIf(!canIssue)('a certificate that a proxy forwards', () => {
  const forward = async (fields: Record<string, string>, path = '/proxied') => {
    const answer = await fetch(gateway.url + path, { headers: fields });
    return got(answer.status, await answer.text());
  };
  const clientCert = (name: string) => `:${new X509Certificate(pem(name)).raw.toString('base64')}:`;

  it('is believed, when the proxy is trusted', async () => {
    expect(await forward({ 'client-cert': clientCert('mobile') })).toMatchObject({ status: 200, consumer: 'mobile' });
    const hash = new X509Certificate(pem('printer')).fingerprint256.replaceAll(':', '').toLowerCase();
    const xfcc = `Hash=${hash};Subject="CN=printer"`;
    expect(await forward({ 'x-forwarded-client-cert': xfcc }, '/meshed')).toMatchObject({
      status: 200,
      consumer: 'printer',
    });
  });

  it('is the one of the field that the proxy writes: the other it may pass on from anybody', async () => {
    const hash = new X509Certificate(pem('printer')).fingerprint256.replaceAll(':', '').toLowerCase();
    const xfcc = `Hash=${hash};Subject="CN=printer"`;
    const both = { 'client-cert': clientCert('mobile'), 'x-forwarded-client-cert': xfcc };
    expect(await forward(both, '/meshed')).toMatchObject({ status: 200, consumer: 'printer' });
    expect(await forward(both, '/proxied')).toMatchObject({ status: 200, consumer: 'mobile' });
    expect((await forward({ 'client-cert': clientCert('mobile') }, '/meshed')).status).toBe(403);
    expect((await forward({ 'x-forwarded-client-cert': xfcc }, '/proxied')).status).toBe(403);
  });

  it('is refused when it cannot be read', async () => {
    expect((await forward({ 'client-cert': ':AAAA:' })).status).toBe(403);
    expect((await forward({ 'x-forwarded-client-cert': 'Hash=1' }, '/meshed')).status).toBe(403);
  });

  it('is not looked at, where the route does not say so', async () => {
    expect((await forward({ 'client-cert': clientCert('mobile') }, '/known')).status).toBe(403);
  });

  it('is nothing that a client may say', async () => {
    await gateway.write(
      '../gateway.yaml',
      readFileSync(join(gateway.dir, 'gateway.yaml'), 'utf8').replace(
        '"127.0.0.1"\n  ],\n  "consumers"',
        '"10.9.9.9"\n  ],\n  "consumers"',
      ),
    );
    await gateway.reload();
    expect((await forward({ 'client-cert': clientCert('mobile') })).status).toBe(403);
  });

  it('cannot be asked for where nobody would send one', async () => {
    await gateway.write('mtls.yaml', {
      routes: [{ name: 'x', match: { path: '/x' }, pool: 'orders', auth: { mtls: { forwarded: 'client-cert' } } }],
    });
    await gateway.write(
      '../gateway.yaml',
      JSON.stringify({
        ...(JSON.parse(readFileSync(join(gateway.dir, 'gateway.yaml'), 'utf8')) as object),
        trustedProxies: [],
      }),
    );
    expect((await gateway.reload()).body).toMatch(/auth\.mtls\.forwarded: believes nobody/);
  });
});
