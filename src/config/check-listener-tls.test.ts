import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { Certificates, hasOpenssl } from '../../test/support/certificates.ts';
import { checkListenerTls } from './check-listener-tls.ts';
import { scanLanguage } from './language.ts';
import { assemble } from './load.ts';
import { formatProblem } from './problem.ts';
import { readDocument } from './read.ts';

const language = await scanLanguage();

describe.skipIf(!hasOpenssl('src/config/check-listener-tls.test.ts'))('the TLS of a listener', () => {
  let certificates: Certificates;

  beforeAll(() => {
    certificates = new Certificates();
    certificates.authority('ca');
    certificates.issue('api', { altNames: 'DNS:api.test' });
    certificates.issue('other');
    certificates.issue('brief', { days: 5 });
    const { dir } = certificates;
    execFileSync('openssl', ['ec', '-aes256', '-passout', 'pass:x', '-in', 'api.key', '-out', 'locked.key'], {
      cwd: dir,
      stdio: 'pipe',
    });
    writeFileSync(certificates.file('text.pem'), 'no certificate');
    writeFileSync(certificates.file('broken.pem'), '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n');
    mkdirSync(certificates.file('folder'));
    certificates.ocsp('api', 1);
    certificates.staleOcsp('other');
    writeFileSync(certificates.file('refused.der'), Buffer.from('30030a0106', 'hex'));
    writeFileSync(certificates.file('short.der'), Buffer.from('30', 'hex'));
  });

  const load = (tls: string) =>
    assemble(
      certificates.dir,
      [{ file: 'gateway.yaml', bytes: Buffer.from(`listen: [{ port: 0, tls: { ${tls} } }]`) }],
      { language },
    );

  it('that is right loads, with its files and what they hold', () => {
    const { config, problems } = load('cert: api.pem, key: api.key, clientCa: ca.pem');
    expect(problems).toEqual([]);
    expect(config?.gateway.listen[0]).toMatchObject({
      tls: {
        certificates: [{ cert: certificates.file('api.pem'), key: certificates.file('api.key') }],
        clientCa: certificates.file('ca.pem'),
        clientAuth: 'require',
        minVersion: '1.2',
      },
      tlsDigest: expect.stringMatching(/^[0-9a-f]{12}$/) as string,
    });
    expect(JSON.stringify(config)).not.toContain('PRIVATE');
  });

  it('is another configuration when a file holds something else', () => {
    certificates.issue('renewed');
    const before = load('cert: renewed.pem, key: renewed.key').config;
    certificates.issue('renewed');
    const after = load('cert: renewed.pem, key: renewed.key').config;
    expect(after?.revision).not.toBe(before?.revision);
  });

  /** Where ▸ stands is where the problem is. */
  it.each([
    ['cert: ▸api.pem', `'cert' without 'key'`],
    ['key: ▸api.key', `'key' without 'cert'`],
    ['minVersion: "1.3"', 'tls without a certificate'],
    ['cert: ▸gone.pem, key: api.key', `file 'gone.pem' does not exist`],
    ['cert: ▸folder, key: api.key', `'folder' is not a file`],
    ['cert: ▸../api.pem, key: api.key', "leads out of the configuration's directory"],
    ['cert: ▸text.pem, key: api.key', `'text.pem' holds no certificate that can be read`],
    ['cert: ▸broken.pem, key: api.key', `'broken.pem' holds no certificate that can be read`],
    ['cert: api.pem, key: ▸text.pem', `'text.pem' holds no private key that can be read`],
    ['cert: api.pem, key: ▸locked.key', `the key 'locked.key' needs a passphrase`],
    ['cert: api.pem, key: ▸other.key', `the key 'other.key' does not belong to the certificate 'api.pem'`],
    ['cert: api.pem, key: api.key, ocsp: ▸gone.der', `file 'gone.der' does not exist`],
    ['cert: api.pem, key: api.key, ocsp: ▸api.pem', `'api.pem' holds no OCSP response (DER)`],
    ['cert: api.pem, key: api.key, ocsp: ▸short.der', `'short.der' holds no OCSP response (DER)`],
    ['cert: api.pem, key: api.key, ocsp: ▸refused.der', `'refused.der' holds an OCSP response that failed (status 6)`],
    ['cert: api.pem, key: api.key, ocsp: ▸other.der', `'other.der' is not about the certificate 'api.pem'`],
    ['certificates: [{ cert: api.pem, key: api.key }], ocsp: ▸api.der', `'ocsp' beside 'certificates'`],
    ['cert: api.pem, key: api.key, clientCa: ▸gone.pem', `file 'gone.pem' does not exist`],
    ['cert: api.pem, key: api.key, clientCa: ▸text.pem', `'text.pem' holds no PEM certificate`],
    ['cert: api.pem, key: api.key, clientCa: ▸broken.pem', `'broken.pem' holds no certificate that can be read`],
    ['cert: api.pem, key: api.key, clientAuth: ▸require', `'clientAuth: require' without 'clientCa'`],
    ['cert: api.pem, key: api.key, clientAuth: ▸optional', `'clientAuth: optional' without 'clientCa'`],
    ['cert: ▸api.pem, certificates: [{ cert: api.pem, key: api.key }]', `'cert' beside 'certificates'`],
    ['certificates: [{ cert: api.pem, key: api.key }, { cert: api.pem, key: ▸other.key }]', 'does not belong'],
    ['certificates: [▸{ cert: api.pem }]', 'key'],
    ['cert: api.pem, key: api.key, minVersion: ▸"1.1"', '1.2'],
  ])('is an error at its place: %s', (marked, says) => {
    const text = marked.replace('▸', '');
    const { config, problems } = load(text);
    expect(config).toBeUndefined();
    const [told = ''] = problems.map(formatProblem);
    expect(told).toContain(says);
    const column = marked.includes('▸') ? 'listen: [{ port: 0, tls: { '.length + marked.indexOf('▸') + 1 : 26;
    expect(told).toContain(`gateway.yaml:1:${column}: error: `);
  });

  it.each([
    ['cert: api.pem, key: api.key, clientCa: ca.pem, clientAuth: none', `'clientCa' does nothing`],
    [
      'certificates: [{ cert: api.pem, key: api.key }, { cert: other.pem, key: other.key }]',
      `'other.pem' names no host`,
    ],
    ['cert: brief.pem, key: brief.key', 'expires in 4 days'],
    ['cert: other.pem, key: other.key, ocsp: other.der', `'other.der' is stale: it is not stapled`],
  ])('is a warning: %s', (tls, says) => {
    const { config, problems } = load(tls);
    expect(config).toBeDefined();
    expect(problems.map(formatProblem)).toEqual([expect.stringContaining(says)]);
    expect(problems[0]?.severity).toBe('warning');
  });

  it.each([
    [-1, 'is not valid before'],
    [33, "the certificate in 'api.pem' (CN=api) expired 3 days ago"],
    [30.5, 'expired less than a day ago'],
  ])('is told of with the days, %d days from now', (days, says) => {
    const tls = { cert: 'api.pem', key: 'api.key', minVersion: '1.2' as const };
    const { document } = readDocument('gateway.yaml', 'listen: [{ tls: { cert: api.pem, key: api.key } }]', {});
    const problems = checkListenerTls([{ tls }], document!, certificates.dir, Date.now() + days * 86_400_000);
    expect(problems.map(formatProblem)).toEqual([expect.stringContaining(says)]);
  });
});

describe('PROXY protocol', () => {
  it.each([
    ['from: [▸10.0.0.0/33]', 'is not a network'],
    ['from: [10.0.0.1, ▸balancer]', 'is not a network'],
    ['from: ▸[]', '1'],
  ])('is an error at its place: %s', (marked, says) => {
    const text = `listen: [{ port: 0, proxyProtocol: { ${marked} } }]`;
    const { problems } = assemble('/etc/aya', [{ file: 'gateway.yaml', bytes: Buffer.from(text.replace('▸', '')) }], {
      language,
    });
    expect(formatProblem(problems[0]!)).toContain(says);
    expect(problems[0]).toMatchObject({ severity: 'error', line: 1, column: text.indexOf('▸') + 1 });
  });
});
