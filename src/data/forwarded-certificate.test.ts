import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { Certificates, hasOpenssl } from '../../test/support/certificates.ts';
import { subjectAltNames } from '../subject-alt-names.ts';
import { forwardedCertificate } from './forwarded-certificate.ts';
import type { RequestHead } from './head.ts';

const SUBJECT = '/C=DE/O=Acme, Inc/CN=mobile';
const ALT_NAMES = 'DNS:a.test,URI:spiffe://fleet/mobile,email:a@b.test,IP:10.0.0.1,IP:2001:db8::1';

describe.skipIf(!hasOpenssl('src/data/forwarded-certificate.test.ts'))('a certificate that a proxy has seen', () => {
  let pem = '';
  let certificate: X509Certificate;
  let expected: object;

  beforeAll(() => {
    const certificates = new Certificates();
    certificates.authority('ca');
    certificates.issue('mobile', { subject: SUBJECT, altNames: ALT_NAMES });
    pem = readFileSync(certificates.file('mobile.pem'), 'utf8');
    certificate = new X509Certificate(pem);
    expected = {
      subject: 'CN=mobile,O=Acme\\, Inc,C=DE',
      subjectAltNames: [
        { type: 'DNS', value: 'a.test' },
        { type: 'URI', value: 'spiffe://fleet/mobile' },
        { type: 'email', value: 'a@b.test' },
        { type: 'IP', value: '10.0.0.1' },
        { type: 'IP', value: '2001:db8::1' },
      ],
      fingerprint256: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
      serialNumber: certificate.serialNumber.toLowerCase(),
      issuer: 'CN=ca',
      verified: true,
    };
  });

  const said = (fields: { clientCert?: string; xfcc?: string }) => forwardedCertificate(fields as RequestHead);
  const base64 = () => certificate.raw.toString('base64');
  const hash = () => certificate.fingerprint256.replaceAll(':', '');

  it('is none where the proxy says nothing', () => {
    expect(said({})).toBeUndefined();
  });

  it('is read from Client-Cert', () => {
    expect(said({ clientCert: `:${base64()}:` })).toEqual(expected);
  });

  it('is read from the Cert of X-Forwarded-Client-Cert', () => {
    const xfcc = `By=spiffe://fleet/edge;Hash=${hash()};Cert="${encodeURIComponent(pem)}";Subject="ignored"`;
    expect(said({ xfcc })).toEqual(expected);
  });

  it('is what X-Forwarded-Client-Cert tells of it, where it is not there itself', () => {
    const xfcc = `By=x;Hash=${hash()};Subject="CN=\\"m\\",O=A; B";URI=spiffe://fleet/mobile;URI=;DNS=a.test;DNS=b.test`;
    expect(said({ xfcc })).toEqual({
      ...expected,
      subject: 'CN="m",O=A; B',
      subjectAltNames: [
        { type: 'URI', value: 'spiffe://fleet/mobile' },
        { type: 'DNS', value: 'a.test' },
        { type: 'DNS', value: 'b.test' },
      ],
      serialNumber: '',
      issuer: '',
    });
  });

  it('is the one that the nearest proxy has seen', () => {
    const xfcc = `Hash=${'0'.repeat(64)};Subject="CN=forged",By=x;Hash=${hash()};Subject="CN=true"`;
    expect(said({ xfcc })).toMatchObject({ subject: 'CN=true' });
  });

  it.each<[string, () => { clientCert?: string; xfcc?: string }]>([
    ['empty', () => ({ clientCert: '' })],
    ['without colons', () => ({ clientCert: base64() })],
    ['two of them', () => ({ clientCert: `:${base64()}:, :${base64()}:` })],
    ['with parameters', () => ({ clientCert: `:${base64()}:;a=1` })],
    ['not base64', () => ({ clientCert: ':****:' })],
    ['not a certificate', () => ({ clientCert: `:${Buffer.from('hello').toString('base64')}:` })],
    ['cut', () => ({ clientCert: `:${certificate.raw.subarray(0, -1).toString('base64')}:` })],
    [
      'with a byte behind it',
      () => ({ clientCert: `:${Buffer.concat([certificate.raw, Buffer.of(0)]).toString('base64')}:` }),
    ],
    ['PEM', () => ({ clientCert: `:${Buffer.from(pem).toString('base64')}:` })],
    ['empty for Envoy', () => ({ xfcc: '' })],
    ['words for Envoy', () => ({ xfcc: 'hello' })],
    ['a name without a certificate', () => ({ xfcc: 'Subject="CN=mobile"' })],
    ['an empty last element', () => ({ xfcc: `Hash=${hash()},` })],
    ['an open quote', () => ({ xfcc: `Hash=${hash()};Subject="CN=mobile` })],
    ['something behind a quote', () => ({ xfcc: `Hash=${hash()};Subject="CN=a"b` })],
    ['two hashes', () => ({ xfcc: `Hash=${hash()};Hash=${hash()}` })],
    ['half a hash', () => ({ xfcc: `Hash=${hash().slice(32)}` })],
    ['the hash of another', () => ({ xfcc: `Hash=${'0'.repeat(64)};Cert="${encodeURIComponent(pem)}"` })],
    ['wrong URL encoding', () => ({ xfcc: 'Cert="%zz"' })],
  ])('is refused when it is %s', (_, fields) => {
    expect(() => said(fields())).toThrow(expect.objectContaining({ status: 400 }) as Error);
  });
});

describe('alternative names', () => {
  it.each<[string, object[]]>([
    ['DNS:a.test', [{ type: 'DNS', value: 'a.test' }]],
    ['DNS:"a, DNS:evil.test"', [{ type: 'DNS', value: 'a, DNS:evil.test' }]],
    ['othername:<unsupported>, DNS:a.test', [{ type: 'DNS', value: 'a.test' }]],
    ['DirName:"CN = a, DNS:evil.test", URI:x:y', [{ type: 'URI', value: 'x:y' }]],
    ['IP Address:<invalid>', []],
    ['DNS:"open', []],
    ['DNS:a.test junk", DNS:b.test', []],
  ])('of %s are told apart', (text, names) => {
    expect(subjectAltNames(text)).toEqual(names);
  });
});
