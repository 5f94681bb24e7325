/** Two listeners, and a route that sends everybody from the one to the other; the client is curl. */
import { execFile, spawnSync } from 'node:child_process';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { Certificates, hasOpenssl } from '../support/certificates.ts';
import { gatewayFixture } from '../support/gateway.ts';
import { closedPort, startUpstream } from '../support/upstream.ts';

const FILE = 'test/scenarios/http-to-https.test.ts';
const HOST = '127.0.0.1';
const PROXY = '127.0.0.7';

const hasCurl = spawnSync('curl', ['--version']).error === undefined;
if (!hasCurl) console.warn(`${FILE} is skipped: curl is not installed`);

describe.skipIf(!hasCurl || !hasOpenssl(FILE))('from http to https', () => {
  let plain = 0;
  let secure = 0;
  let ca = '';

  beforeAll(async () => {
    const certificates = new Certificates();
    certificates.authority('ca');
    certificates.issue('api', { altNames: 'DNS:api.test' });
    ca = certificates.file('ca.pem');
    const tls = { cert: certificates.file('api.pem'), key: certificates.file('api.key') };
    const upstream = await startUpstream('orders');
    secure = await closedPort();
    const gateway = await gatewayFixture({
      gateway: {
        listen: [
          { host: HOST, port: 0 },
          { host: HOST, port: secure, tls },
        ],
        trustedProxies: [PROXY],
      },
      files: {
        'orders.yaml': {
          pools: { orders: { endpoints: [upstream.url] } },
          routes: [
            { name: 'orders', match: { host: 'api.test', path: '/orders/*' }, pool: 'orders' },
            {
              name: 'to-https',
              match: { scheme: 'http' },
              redirect: { scheme: 'https', port: secure, status: 308 },
            },
            { name: 'challenge', match: { scheme: 'http', path: '/.well-known/acme-challenge/*' }, pool: 'orders' },
          ],
        },
      },
    });
    plain = gateway.port;
  });

  /** What curl prints, with both ports of api.test on loopback. */
  async function curl(url: string, ...options: string[]): Promise<string> {
    const to = ['--resolve', `api.test:${plain}:${HOST}`, '--resolve', `api.test:${secure}:${HOST}`];
    const common = ['--silent', '--max-time', '5', '--noproxy', '*', '--cacert', ca];
    const { stdout } = await promisify(execFile)('curl', [...common, ...to, ...options, url]);
    return stdout;
  }

  const status = (url: string, ...options: string[]) =>
    curl(url, '--output', '/dev/null', '--write-out', '%{http_code} %{redirect_url}', ...options);

  it('a client is sent on with all that it asked, by whichever route it came, and gets there', async () => {
    const orders = `http://api.test:${plain}/orders/7?a=1`;
    expect(await status(orders)).toBe(`308 https://api.test:${secure}/orders/7?a=1`);
    expect(await status(`http://api.test:${plain}/`)).toBe(`308 https://api.test:${secure}/`);
    expect(JSON.parse(await curl(orders, '--location', '--data', 'x'))).toMatchObject({
      method: 'POST',
      target: '/orders/7?a=1',
      body: 'x',
    });
  });

  it('what must be had without TLS is left out by a route of its own', async () => {
    const path = '/.well-known/acme-challenge/token';
    expect(JSON.parse(await curl(`http://api.test:${plain}${path}`))).toMatchObject({ target: path });
    expect(await status(`https://api.test:${secure}${path}`)).toBe('404 ');
  });

  it('a trusted proxy in front says what the client speaks; a stranger says nothing', async () => {
    const claim = ['--header', 'x-forwarded-proto: https'];
    expect(await status(`http://api.test:${plain}/orders/7`, ...claim)).toMatch(/^308 /);
    expect(await status(`http://api.test:${plain}/orders/7`, ...claim, '--interface', PROXY)).toBe('200 ');
  });
});
