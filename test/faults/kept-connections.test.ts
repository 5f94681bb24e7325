/** A connection to an upstream that was used is as good as new, whatever the one before it did. */
import net, { type AddressInfo } from 'node:net';
import { expect, it } from 'vitest';
import { cleanup } from '../support/cleanup.ts';
import { gatewayFixture } from '../support/gateway.ts';
import { RawConnection, request } from '../support/raw-client.ts';
import { until } from '../support/until.ts';
import { byPath, hang, startUpstream } from '../support/upstream.ts';

const READ_BYTES = 64 * 1024;

it('after an answer whose last bytes the client’s side asked to wait for', async () => {
  // Head and body fill whole reads, so that the client's side is full at the very end.
  const head = 'HTTP/1.1 200 OK\r\nContent-Length: 000000\r\n\r\n';
  const length = 2 * READ_BYTES - head.length;
  const answer = Buffer.alloc(2 * READ_BYTES, 'x');
  answer.write(head.replace('000000', String(length).padStart(6, '0')), 'latin1');
  let connections = 0;
  const server = net.createServer((socket) => {
    connections++;
    socket.on('data', () => socket.write(answer)).on('error', () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanup(async () => void server.close());
  const { port } = server.address() as AddressInfo;
  const gateway = await gatewayFixture({
    files: {
      'one.yaml': {
        pools: { one: { endpoints: [`http://127.0.0.1:${port}`], connections: { max: 1 } } },
        routes: [{ name: 'one', pool: 'one', retry: false, timeout: { head: '2s' } }],
      },
    },
  });
  for (let round = 0; round < 20; round++) {
    const response = await fetch(gateway.url);
    expect({ round, status: response.status }).toEqual({ round, status: 200 });
    expect((await response.arrayBuffer()).byteLength).toBe(length);
  }
  expect(connections).toBe(1);
});

it('whoever leaves the queue for one leaves a free place', async () => {
  const upstream = await startUpstream('one', byPath({ hang }));
  const gateway = await gatewayFixture({
    files: {
      'one.yaml': {
        pools: { one: { endpoints: [upstream.url], connections: { max: 1, pending: 1 } } },
        routes: [{ name: 'one', pool: 'one', retry: false }],
      },
    },
  });
  const inFlight = async () => {
    const { body } = await gateway.admin('/pools');
    return (JSON.parse(body) as { pools: { endpoints: { inFlight: number }[] }[] }).pools[0]!.endpoints[0]!.inFlight;
  };
  const ask = async (path: string) => {
    const connection = await RawConnection.open(gateway.port);
    connection.send(request('GET', path, 'any.test'));
    return connection;
  };
  const first = await ask('/hang');
  await until(() => upstream.requests === 1, 'the first at the upstream');
  const second = await ask('/hang');
  await until(async () => (await inFlight()) === 2, 'the second in the queue');
  second.reset();
  await until(async () => (await inFlight()) === 1, 'the second gone');
  const third = await ask('/x');
  await until(async () => (await inFlight()) === 2, 'the third in the queue');
  first.reset();
  expect((await third.answer()).status).toBe(200);
  third.close();
});
