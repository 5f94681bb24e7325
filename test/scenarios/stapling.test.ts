/** OCSP: the word of the authority that a certificate is still good, and until when the certificate itself says so. */
import { copyFileSync } from 'node:fs';
import { connect, type ConnectionOptions } from 'node:tls';
import { beforeAll, describe, expect, it } from 'vitest';
import { Certificates, hasOpenssl } from '../support/certificates.ts';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';
import { within } from '../support/until.ts';
import { startUpstream } from '../support/upstream.ts';

const FILE = 'test/scenarios/stapling.test.ts';
const HOST = '127.0.0.1';
const DAY_SECONDS = 86_400;

describe.skipIf(!hasOpenssl(FILE))('a listener', () => {
  let certificates: Certificates;
  let gateway: GatewayFixture;
  /** Ports of the listeners. */
  let several = 0;
  let stapled = 0;
  let stale = 0;

  beforeAll(async () => {
    certificates = new Certificates();
    certificates.authority('ca');
    certificates.issue('api', { altNames: 'DNS:api.test' });
    certificates.issue('bare', { altNames: 'DNS:bare.test' });
    certificates.issue('other', { altNames: 'DNS:other.test' });
    for (const name of ['api', 'other']) certificates.ocsp(name, 1);
    copyFileSync(certificates.file('other.der'), certificates.file('current.der'));
    certificates.issue('late', { altNames: 'DNS:late.test', days: 5 });
    certificates.staleOcsp('late');
    const upstream = await startUpstream('users');
    const pair = (name: string) => ({ cert: certificates.file(`${name}.pem`), key: certificates.file(`${name}.key`) });
    const files = (name: string, ocsp = name) => ({ ...pair(name), ocsp: certificates.file(`${ocsp}.der`) });
    const at = (tls: object) => ({ host: HOST, port: 0, tls });
    gateway = await gatewayFixture({
      gateway: {
        listen: [
          at({ certificates: [files('api'), files('other', 'current'), pair('bare')] }),
          at(files('other', 'current')),
          at(files('late')),
        ],
      },
      files: {
        'users.yaml': { pools: { users: { endpoints: [upstream.url] } }, routes: [{ name: 'u', pool: 'users' }] },
      },
    });
    [several = 0, stapled = 0, stale = 0] = gateway.ports;
  });

  function shake(port: number, options: ConnectionOptions) {
    let response: Buffer | null = null;
    const secure = connect({ port, host: HOST, rejectUnauthorized: false, requestOCSP: true, ...options });
    secure.on('OCSPResponse', (given) => (response = given));
    const shaken = new Promise<{ name: string; response: Buffer | null }>((resolve, reject) => {
      secure.on('error', reject).on('secureConnect', () => {
        const { subject } = secure.getPeerCertificate();
        secure.destroy();
        resolve({ name: String(subject.CN), response });
      });
    });
    return within(shaken, 'the handshake');
  }

  it('staples the word of the authority to the certificate that it is about, and to no other', async () => {
    const word = Buffer.from(certificates.der('other'));
    expect((await shake(stapled, { servername: 'other.test' })).response).toEqual(word);
    expect((await shake(stapled, {})).response).toEqual(word);
    expect((await shake(several, { servername: 'other.test' })).response).toEqual(word);
    expect((await shake(several, { servername: 'api.test' })).response).toEqual(certificates.der('api'));
    expect(await shake(several, { servername: 'bare.test' })).toEqual({ name: 'bare', response: null });
    expect((await shake(several, { servername: 'api.test', requestOCSP: false })).response).toBe(null);
  });

  it('keeps a stale one back', async () => {
    expect(await shake(stale, { servername: 'late.test' })).toEqual({ name: 'late', response: null });
  });

  it('staples the renewed one after a reload, and keeps its own when the new one is about another', async () => {
    certificates.ocsp('other', 2);
    const before = (await shake(stapled, { servername: 'other.test' })).response;
    copyFileSync(certificates.file('other.der'), certificates.file('current.der'));
    expect((await gateway.reload()).status).toBe(200);
    const renewed = (await shake(stapled, { servername: 'other.test' })).response;
    expect(renewed).toEqual(certificates.der('other'));
    expect(renewed).not.toEqual(before);
    copyFileSync(certificates.file('api.der'), certificates.file('current.der'));
    const refused = await gateway.reload();
    expect(refused.status).not.toBe(200);
    expect(refused.body).toContain('is not about the certificate');
    expect((await shake(stapled, { servername: 'other.test' })).response).toEqual(renewed);
  });

  it('tells until when its certificates are good', async () => {
    const { body } = await gateway.admin('/metrics');
    const left = (name: string) =>
      Number(new RegExp(`^aya_tls_certificate_expiry_seconds\\{.*/${name}\\.pem"\\} (\\S+)`, 'm').exec(body)?.[1]);
    expect(left('late')).toBeGreaterThan(4.9 * DAY_SECONDS);
    expect(left('late')).toBeLessThanOrEqual(5 * DAY_SECONDS);
    expect(left('api')).toBeGreaterThan(29.9 * DAY_SECONDS);
  });
});
