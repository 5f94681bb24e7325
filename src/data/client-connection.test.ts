import { once } from 'node:events';
import { connect as connectTcp, type AddressInfo, type Socket } from 'node:net';
import { connect, createServer, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { Certificates, hasOpenssl } from '../../test/support/certificates.ts';
import { ClientConnection } from './client-connection.ts';

describe.skipIf(!hasOpenssl('src/data/client-connection.test.ts'))('a client over TLS', () => {
  let certificates: Certificates;

  beforeAll(() => {
    certificates = new Certificates();
    for (const name of ['ca', 'others']) certificates.authority(name);
    certificates.issue('server');
    certificates.issue('mobile', { subject: '/O=Acme/CN=mobile', altNames: 'URI:spiffe://fleet/mobile' });
    certificates.issue('stranger', { by: 'others' });
  });

  const pair = (name: string) => ({ cert: certificates.pem(name), key: certificates.pem(name, 'key') });

  async function clientWith(options: ConnectionOptions): Promise<ClientConnection> {
    const server = createServer({
      ...pair('server'),
      ca: certificates.pem('ca'),
      requestCert: true,
      rejectUnauthorized: false,
    });
    let client: ClientConnection | undefined;
    server.on('connection', (socket: Socket) => (client = new ClientConnection(socket, 512)));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const socket = connectTcp((server.address() as AddressInfo).port, '127.0.0.1');
    const secure = connect({ socket, rejectUnauthorized: false, ...options });
    onTestFinished(() => {
      secure.destroy();
      server.close();
    });
    const [accepted] = (await once(server, 'secureConnection')) as [TLSSocket];
    client!.secured(accepted);
    expect(ClientConnection.of(accepted)).toBe(client);
    return client!;
  }

  it('shows its certificate, which is read once', async () => {
    const client = await clientWith(pair('mobile'));
    expect(client.scheme).toBe('https');
    expect(client.certificate).toEqual({
      subject: 'CN=mobile,O=Acme',
      subjectAltNames: [{ type: 'URI', value: 'spiffe://fleet/mobile' }],
      fingerprint256: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
      serialNumber: expect.stringMatching(/^[0-9a-f]+$/) as string,
      issuer: 'CN=ca',
      verified: true,
    });
    expect(client.certificate).toBe(client.certificate);
  });

  it('is not believed when another CA has signed it', async () => {
    expect((await clientWith(pair('stranger'))).certificate).toMatchObject({ subject: 'CN=stranger', verified: false });
  });

  it('without a certificate has none', async () => {
    expect((await clientWith({})).certificate).toBeUndefined();
  });
});
