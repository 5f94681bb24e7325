/** A token that is bound to a certificate is worth something on that client's connections alone (RFC 8705). */
import { createHash, X509Certificate } from 'node:crypto';
import https from 'node:https';
import { beforeAll, describe, expect, it } from 'vitest';
import { Certificates, hasOpenssl } from '../../../test/support/certificates.ts';
import { gatewayFixture, type GatewayFixture } from '../../../test/support/gateway.ts';
import { hmac, token } from '../../../test/support/tokens.ts';
import { startUpstream } from '../../../test/support/upstream.ts';

const SECRET = 'a-secret-of-thirty-two-bytes-or-more';

describe.skipIf(!hasOpenssl('plugins/auth/jwt/binding.test.ts'))('a token that is bound to a certificate', () => {
  let certificates: Certificates;
  let gateway: GatewayFixture;

  beforeAll(async () => {
    certificates = new Certificates();
    certificates.authority('ca');
    for (const name of ['server', 'mobile', 'thief']) certificates.issue(name);
    const upstream = await startUpstream('orders');
    const file = (name: string) => certificates.file(name);
    const tls = { cert: file('server.pem'), key: file('server.key'), clientCa: file('ca.pem'), clientAuth: 'optional' };
    gateway = await gatewayFixture({
      gateway: { listen: [{ host: '127.0.0.1', port: 0, tls }] },
      files: {
        'orders.yaml': {
          pools: { orders: { endpoints: [upstream.url] } },
          routes: [{ name: 'orders', match: { path: '/' }, pool: 'orders', auth: { jwt: { secret: SECRET } } }],
        },
      },
    });
  });

  function status(bearer: string, client?: string): Promise<number> {
    const shown = client && { cert: certificates.pem(client), key: certificates.pem(client, 'key') };
    const options = {
      port: gateway.port,
      host: '127.0.0.1',
      agent: false,
      rejectUnauthorized: false,
      ...(shown || {}),
    };
    return new Promise((resolve, reject) => {
      https
        .get({ ...options, headers: { authorization: `Bearer ${bearer}` } }, (response) => {
          response.resume();
          response.on('end', () => resolve(response.statusCode!));
        })
        .on('error', reject);
    });
  }

  const bound = (thumbprint: unknown) =>
    token({ alg: 'HS256' }, { exp: Date.now() / 1000 + 60, cnf: { 'x5t#S256': thumbprint } }, hmac(SECRET));

  it('is refused on every other connection, also when it is known already', async () => {
    const { raw } = new X509Certificate(certificates.pem('mobile'));
    const bearer = bound(createHash('sha256').update(raw).digest('base64url'));
    for (let round = 0; round < 2; round++) {
      expect(await status(bearer, 'thief')).toBe(401);
      expect(await status(bearer, 'mobile')).toBe(200);
      expect(await status(bearer)).toBe(401);
    }
  });

  it.each(['', 7, null, [], 'undefined'])('and not to %j', async (thumbprint) => {
    expect(await status(bound(thumbprint))).toBe(401);
    expect(await status(bound(thumbprint), 'mobile')).toBe(401);
  });
});
