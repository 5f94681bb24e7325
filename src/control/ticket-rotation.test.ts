import { createServer, connect, type SecureVersion, type Server } from 'node:tls';
import type { AddressInfo } from 'node:net';
import { beforeAll, describe, expect, it } from 'vitest';
import { Certificates, hasOpenssl } from '../../test/support/certificates.ts';
import { cleanup } from '../../test/support/cleanup.ts';
import { FakeClock } from '../../test/support/fake-clock.ts';
import { sealTickets, TicketSecrets } from '../data/ticket-keys.ts';
import { TicketRotation } from './ticket-rotation.ts';

const HOUR_MS = 3_600_000;

describe.skipIf(!hasOpenssl('src/control/ticket-rotation.test.ts'))('a session', () => {
  let certificates: Certificates;

  beforeAll(() => {
    certificates = new Certificates();
    certificates.authority('ca');
    certificates.issue('server', { altNames: 'DNS:api.test' });
  });

  async function start(scope: string, secrets: TicketSecrets): Promise<Server> {
    const options = { cert: certificates.pem('server'), key: certificates.pem('server', 'key') };
    const server = createServer({ ...options, sessionIdContext: 'x' }, (socket) => socket.end('hello'));
    sealTickets(server, scope, secrets);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    cleanup(async () => void server.close());
    return server;
  }

  /** @returns whether the session was resumed, and the latest ticket. */
  function visit(server: Server, maxVersion: SecureVersion, session?: Buffer) {
    return new Promise<{ resumed: boolean; ticket: Buffer }>((resolve, reject) => {
      let resumed = false;
      let ticket = Buffer.alloc(0);
      const { port } = server.address() as AddressInfo;
      const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, maxVersion, session });
      socket.on('secureConnect', () => {
        resumed = socket.isSessionReused();
        // TLS 1.2 tells of the first ticket only.
        ticket = socket.getSession() ?? ticket;
      });
      socket.on('session', (given) => (ticket = given));
      socket.on('error', reject).on('close', () => resolve({ resumed, ticket }));
      socket.resume();
    });
  }

  it.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'of %s is resumed on every thread, and past one change of the secret',
    async (version) => {
      const clock = new FakeClock();
      const threads = [1, 2].map(() => new TicketSecrets([]));
      const rotation = new TicketRotation(clock, (secrets) => threads.forEach((thread) => thread.replace(secrets)));
      for (const thread of threads) thread.replace(rotation.secrets);
      const [one, other] = await Promise.all(threads.map((thread) => start('a', thread)));

      const { resumed, ticket } = await visit(one!, version);
      expect(resumed).toBe(false);
      expect((await visit(other!, version, ticket)).resumed).toBe(true);
      clock.advance(HOUR_MS);
      const renewed = await visit(other!, version, ticket);
      expect(renewed.resumed).toBe(true);
      clock.advance(HOUR_MS);
      expect((await visit(one!, version, ticket)).resumed).toBe(false);
      // The ticket that was given in exchange is sealed with the newer secret.
      expect((await visit(one!, version, renewed.ticket)).resumed).toBe(true);

      rotation.close();
      const before = rotation.secrets;
      clock.advance(HOUR_MS);
      expect(rotation.secrets).toBe(before);
    },
  );

  it('of another scope is not resumed', async () => {
    const secrets = new TicketSecrets([Buffer.alloc(32, 1)]);
    const [one, other] = [await start('a', secrets), await start('b', secrets)];
    const { ticket } = await visit(one, 'TLSv1.3');
    expect((await visit(other, 'TLSv1.3', ticket)).resumed).toBe(false);
    expect((await visit(one, 'TLSv1.3', ticket)).resumed).toBe(true);
  });
});
