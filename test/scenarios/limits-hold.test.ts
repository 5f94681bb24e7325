/** Clients and upstreams that take more than their share meet a limit, and others do not feel it. */
import { beforeAll, describe, expect, it } from 'vitest';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';
import { metric } from '../support/metrics.ts';
import { ask, RawConnection, request, type RawResponse } from '../support/raw-client.ts';
import { timed, until } from '../support/until.ts';
import { byPath, hang, slow, startUpstream, type Upstream } from '../support/upstream.ts';

let upstream: Upstream;
let gateway: GatewayFixture;

beforeAll(async () => {
  upstream = await startUpstream('limited', byPath({ hang, slow: slow(300) }));
  gateway = await gatewayFixture({
    gateway: {
      accessLog: { enabled: false },
      listen: [
        {
          host: '127.0.0.1',
          port: 0,
          limits: {
            headersTimeout: '1s',
            requestTimeout: '2s',
            keepAlive: '500ms',
            connectionsPerClient: 20,
            fields: 20,
          },
        },
      ],
    },
    files: {
      'limits.yaml': {
        pools: {
          open: { endpoints: [upstream.url], health: { passive: false } },
          narrow: { endpoints: [upstream.url], health: { passive: false }, connections: { max: 2, pending: 2 } },
        },
        routes: [
          { name: 'open', match: { path: '/*' }, pool: 'open' },
          { name: 'narrow', match: { path: '/narrow/*' }, pool: 'narrow', retry: false },
          ...Array.from({ length: 150 }, (_, at) => ({
            name: `host-${at}`,
            match: { host: `h${at}.Fleet.test`, path: '/*' },
            pool: 'open',
          })),
        ],
      },
    },
  });
});

describe('a connection', () => {
  it('that is idle behind an answer is closed when its time is over', async () => {
    const connection = await RawConnection.open(gateway.port);
    connection.send(request('GET', '/x', 'any.test'));
    await connection.answer();
    const { ms } = await timed(() => connection.wait(() => false, 'the close'));
    expect(ms).toBeGreaterThan(400);
    expect(ms).toBeLessThan(8_000);
    expect(connection.closed).toBe('fin');
  });

  it.each([
    ['says nothing', ''],
    ['never ends its head', 'GET /x HTTP/1.1\r\nHost: any.test\r\n'],
    ['never ends its body', 'POST /x HTTP/1.1\r\nHost: any.test\r\nContent-Length: 10\r\n\r\nhalf'],
  ])('that %s is closed, with 408 if anything', async (_, bytes) => {
    const connection = await RawConnection.open(gateway.port);
    connection.send(bytes);
    await connection.wait(() => false, 'the close');
    for (const { status } of connection.read().responses) expect(status).toBe(408);
  });

  it('of one client beyond its number is refused, and the others serve on', async () => {
    const connections = await Promise.all(Array.from({ length: 20 }, () => RawConnection.open(gateway.port)));
    await until(async () => {
      const extra = await ask(gateway.port, request('GET', '/x', 'any.test'), { deadlineMs: 300 }).catch(
        () => undefined,
      );
      return extra?.responses[0]?.status !== 200;
    }, 'a refusal');
    connections[0]!.send(request('GET', '/x', 'any.test'));
    expect((await connections[0]!.answer()).status).toBe(200);
    expect(
      await metric(gateway, 'aya_errors_total', 'route="__none__",type="connection_limit_reached"'),
    ).toBeGreaterThan(0);
    for (const connection of connections) connection.close();
    await until(
      async () => (await ask(gateway.port, request('GET', '/x', 'any.test'))).responses[0]?.status === 200,
      'room again',
    );
  });
});

describe('a request', () => {
  it('with more fields than the listener allows is 431', async () => {
    const fields = Array.from({ length: 20 }, (_, at) => `X-${at}: 1`);
    expect((await ask(gateway.port, request('GET', '/x', 'any.test', fields))).responses[0]?.status).toBe(431);
  });

  it('beyond the connections and the queue of a pool is 503 at once, and those in the queue are served', async () => {
    const answers: RawResponse[] = [];
    const asked = Array.from({ length: 6 }, async () => {
      const { responses } = await ask(gateway.port, request('GET', '/narrow/slow', 'any.test'));
      answers.push(responses[0]!);
    });
    await Promise.all(asked);
    expect(answers.map(({ status }) => status)).toEqual([503, 503, 200, 200, 200, 200]);
    for (const answer of answers.slice(0, 2)) {
      expect(answer.field('retry-after')).toBeDefined();
      expect(answer.field('proxy-status')).toMatch(/error=connection_limit_reached/);
    }
  });
});

describe('a hundred and fifty hosts', () => {
  it.each(['h0.fleet.test', 'H149.FLEET.TEST', 'h77.Fleet.Test.', 'h101.fleet.test:8080', 'h149.fleet.TEST.:80'])(
    'are told apart whatever their spelling: %s',
    async (host) => {
      const { responses } = await ask(gateway.port, request('GET', '/x', host));
      expect(responses[0]?.status).toBe(200);
    },
  );
});

describe('a regular expression of the operator', () => {
  it('that would backtrack for ever elsewhere is matched in bounded time', async () => {
    const hostile = await gatewayFixture({
      gateway: { accessLog: { enabled: false } },
      files: {
        'regex.yaml': {
          pools: { open: { endpoints: [upstream.url] } },
          routes: [
            { name: 'path', match: { path: { regex: '/(a+)+\\$' } }, pool: 'open' },
            { name: 'field', match: { path: '/f', headers: { 'x-a': { regex: '(.*)*x' } } }, pool: 'open' },
          ],
        },
      },
    });
    const path = await timed(() => ask(hostile.port, request('GET', `/${'a'.repeat(7_000)}!`, 'any.test')));
    expect(path.value.responses[0]?.status).toBe(404);
    const field = await timed(() =>
      ask(hostile.port, request('GET', '/f', 'any.test', [`X-A: ${'y'.repeat(14_000)}`])),
    );
    expect(field.value.responses[0]?.status).toBe(404);
    expect(path.ms + field.ms).toBeLessThan(5_000);
  });
});
