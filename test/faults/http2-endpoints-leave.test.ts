/** Endpoints that speak HTTP/2 and leave, refuse, fall silent or change: nobody loses anything that need not be lost. */
import { connect, createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { gatewayFixture, reloadedGateway, type GatewayFixture } from '../support/gateway.ts';
import { data, Flag, goaway, rstStream, settings, Type } from '../support/h2-frames.ts';
import { head, ok, startFrameUpstream } from '../support/h2-frame-upstream.ts';
import { startHttp2Upstream, byPath as http2ByPath } from '../support/http2-upstream.ts';
import { startLoad } from '../support/load.ts';
import { RawConnection, request } from '../support/raw-client.ts';
import { until } from '../support/until.ts';
import { closedPort, hold, ignore, startUpstream } from '../support/upstream.ts';

const REFUSED_STREAM = 7;
const CANCEL = 8;

const service = (urls: readonly string[], pool: object = {}, route: object = {}) => ({
  pools: { one: { endpoints: urls, http2: true, health: { passive: false }, ...pool } },
  routes: [{ name: 'one', pool: 'one', timeout: { head: '2s' }, ...route }],
});

const reloaded = reloadedGateway();

function gatewayTo(urls: readonly string[], pool: object = {}, route: object = {}): Promise<GatewayFixture> {
  return reloaded({ 'one.yaml': service(urls, pool, route) });
}

async function errorOf(response: Response): Promise<string> {
  return ((await response.json()) as { error: string }).error;
}

async function inFlight(gateway: GatewayFixture): Promise<number> {
  const { body } = await gateway.admin('/pools');
  return (JSON.parse(body) as { pools: { endpoints: { inFlight: number }[] }[] }).pools[0]!.endpoints[0]!.inFlight;
}

describe('an endpoint that leaves', () => {
  it('finishes what it has, and the next goes over a new connection', async () => {
    let finish = ignore;
    const upstream = await startHttp2Upstream(
      'a',
      http2ByPath({
        slow: (stream) => {
          finish = () => {
            stream.respond({ ':status': 200, 'content-length': 4 });
            stream.end('slow');
          };
        },
      }),
    );
    const gateway = await gatewayTo([upstream.url], {}, { retry: false });
    const slow = fetch(`${gateway.url}/slow`);
    await until(() => upstream.requests === 1, 'the slow one is there');
    upstream.sessions[0]!.goaway(0, 1);
    await until(async () => {
      await fetch(`${gateway.url}/x`);
      return upstream.sessions.length === 2;
    }, 'a second session');
    finish();
    expect(await (await slow).text()).toBe('slow');
    await until(() => upstream.sessions[0]!.destroyed, 'the first session is gone');
  });

  it('loses nothing under load, whenever it leaves, though nothing is retried', async () => {
    const upstream = await startHttp2Upstream('orders');
    const gateway = await gatewayTo([upstream.url], {}, { retry: false });
    const load = startLoad(gateway.url, { clients: 16, method: 'POST' });
    for (let round = 0; round < 10; round++) {
      const { served } = load;
      await until(() => load.served > served + 30, 'some are served');
      for (const session of upstream.sessions) if (!session.closed && !session.destroyed) session.close();
    }
    await load.stop();
    expect(load.failures).toEqual([]);
    expect(upstream.sessions.length).toBeGreaterThan(5);
  });

  it('has not processed what is above its last stream: that goes over another connection, though not for ever', async () => {
    const upstream = await startFrameUpstream('a', {
      onRequest: (connection, stream) => {
        if (connection.number === 1 && stream === 1) return;
        if (connection.number > 1) return ok(connection, stream);
        connection.send(goaway(1, 0));
        ok(connection, 1, 'first');
      },
    });
    const gateway = await gatewayTo([upstream.url], {}, { retry: false });
    const first = fetch(gateway.url);
    await until(() => upstream.requests === 1, 'the first is there');
    const second = await fetch(gateway.url, { method: 'POST' });
    expect([await (await first).text(), await second.text()]).toEqual(['first', 'ok']);

    const always = await startFrameUpstream('b', { onRequest: ({ send }) => send(goaway(0, 0)) });
    const other = await gatewayTo([always.url], {}, { retry: false });
    const response = await fetch(other.url);
    expect([response.status, await errorOf(response)]).toEqual([502, 'connection_terminated']);
    expect(always.connections).toBe(6);
  });

  it('with an error fails what it has processed, and nothing else', async () => {
    const upstream = await startFrameUpstream('a', {
      onRequest: (connection, stream) => {
        if (connection.number > 1) return ok(connection, stream);
        if (stream === 3) connection.send(goaway(1, 2));
      },
    });
    const gateway = await gatewayTo([upstream.url], {}, { retry: false });
    const first = fetch(gateway.url, { method: 'POST' });
    await until(() => upstream.requests === 1, 'the first is there');
    const second = await fetch(gateway.url, { method: 'POST' });
    expect(second.status).toBe(200);
    expect(await errorOf(await first)).toBe('connection_terminated');
  });

  it('twice, as one does that means well: first with no bound, then with one', async () => {
    const upstream = await startFrameUpstream('a', {
      onRequest: (connection, stream) => {
        if (connection.number > 1) return ok(connection, stream, 'new');
        connection.send(goaway(2 ** 31 - 1, 0));
        setImmediate(() => {
          connection.send(goaway(stream, 0));
          ok(connection, stream, 'old');
        });
      },
    });
    const gateway = await gatewayTo([upstream.url]);
    expect(await (await fetch(gateway.url)).text()).toBe('old');
    expect(await (await fetch(gateway.url)).text()).toBe('new');
  });

  it('gives its whole answer to a client that is slow to take it', async () => {
    const length = 200 * 1024;
    const upstream = await startFrameUpstream('a', {
      onRequest: (connection, stream) => {
        const chunks = Array.from({ length: 200 }, (_, at) =>
          data(stream, Buffer.alloc(1024, 'x'), at === 199 ? Flag.endStream : 0),
        );
        connection.send(head(stream, 0, ':status', '200', 'x-fill', 'f'), ...chunks, goaway(stream, 0));
        connection.socket.end();
      },
    });
    const gateway = await gatewayTo([upstream.url]);
    const client = connect({ port: gateway.port, host: '127.0.0.1' });
    client.pause();
    client.write('GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n');
    await until(() => upstream.requests === 1 && upstream.open === 0, 'the endpoint has left');
    let bytes = 0;
    client.on('data', (chunk) => (bytes += chunk.filter((byte) => byte === 120).length)).resume();
    await new Promise((resolve) => client.once('close', resolve));
    expect(bytes).toBeGreaterThanOrEqual(length);
  });
});

describe('a connection', () => {
  it('is closed when the endpoint has left and does not close it, and when it was idle for long enough', async () => {
    const upstream = await startFrameUpstream('a', {
      onRequest: (connection, stream) => {
        if (connection.number === 1) connection.send(goaway(stream, 0));
        ok(connection, stream);
      },
    });
    const gateway = await gatewayTo([upstream.url], { connections: { idle: '100ms' } });
    for (let round = 0; round < 2; round++) expect(await (await fetch(gateway.url)).text()).toBe('ok');
    expect(upstream.connections).toBe(2);
    await until(() => upstream.open === 0, 'both are closed');
  });

  it('gives the place of a client that left the queue to another', async () => {
    const streams: (() => void)[] = [];
    const upstream = await startFrameUpstream('a', {
      greet: ({ send }) => send(settings([3, 1])),
      onRequest: (connection, stream) => void streams.push(() => ok(connection, stream)),
    });
    const gateway = await gatewayTo([upstream.url], { connections: { max: 1, pending: 1 } }, { retry: false });
    const asked = async () => {
      const connection = await RawConnection.open(gateway.port);
      connection.send(request('GET', '/', 'a.test'));
      return connection;
    };
    const first = await asked();
    await until(() => streams.length === 1, 'the first is there');
    const second = await asked();
    await until(async () => (await inFlight(gateway)) === 2, 'the second waits');
    expect((await fetch(gateway.url)).status).toBe(503);
    second.reset();
    await until(async () => (await inFlight(gateway)) === 1, 'the second has gone');
    const third = await asked();
    await until(async () => (await inFlight(gateway)) === 2, 'the third waits');
    streams.shift()!();
    expect((await first.answer()).status).toBe(200);
    (await until(() => streams.shift(), 'the third is there'))();
    expect((await third.answer()).status).toBe(200);
    first.close();
    third.close();
  });
});

describe('an endpoint that refuses a stream', () => {
  it('has done nothing with it: even a POST is tried at another', async () => {
    const busy = await startFrameUpstream('busy', {
      onRequest: ({ send }, stream) => send(rstStream(stream, REFUSED_STREAM)),
    });
    const free = await startFrameUpstream('free', { onRequest: (connection, stream) => ok(connection, stream) });
    const gateway = await gatewayTo([busy.url, free.url], { balance: 'round-robin' });
    const statuses = await Promise.all(
      Array.from({ length: 10 }, async () => (await fetch(gateway.url, { method: 'POST', body: 'x' })).status),
    );
    expect(new Set(statuses)).toEqual(new Set([200]));
    expect(busy.requests).toBeGreaterThan(0);
  });
});

describe('an endpoint that cannot be spoken to', () => {
  it('since nobody is there, or nobody who speaks HTTP/2: nothing was sent, and any request goes elsewhere', async () => {
    const old = await startUpstream('old');
    const mute = await hold('mute', createServer());
    const urls = [`http://127.0.0.1:${await closedPort()}`, old.url, mute.url];
    const good = await startFrameUpstream('good', { onRequest: (connection, stream) => ok(connection, stream) });
    const connections = { connectTimeout: '200ms' };
    for (const [url, error] of [
      [urls[0]!, 'connection_refused'],
      [urls[1]!, 'http_protocol_error'],
      [urls[2]!, 'connection_timeout'],
    ] as const) {
      const gateway = await gatewayTo([url], { connections }, { retry: false });
      const answers = await Promise.all(Array.from({ length: 5 }, () => fetch(gateway.url, { method: 'POST' })));
      expect(await Promise.all(answers.map(errorOf))).toEqual(answers.map(() => error));
      const spare = await gatewayTo([url, good.url], { connections, balance: 'round-robin' });
      for (let round = 0; round < 4; round++) expect((await fetch(spare.url, { method: 'POST' })).status).toBe(200);
    }
    expect(old.requests).toBe(0);
  });
});

describe('an endpoint that has gone without a word', () => {
  it('is found out by the first call that waits in vain; the next has a connection of its own', async () => {
    let gone = false;
    const upstream = await startFrameUpstream('silent', {
      onRequest: (connection, stream) => {
        if (!gone || connection.number > 1) ok(connection, stream);
      },
      onPing: ignore,
    });
    const gateway = await gatewayTo(
      [upstream.url],
      { connections: { connectTimeout: '300ms' } },
      { retry: false, timeout: { head: '200ms' } },
    );
    await fetch(gateway.url);
    gone = true;
    const first = fetch(gateway.url);
    expect((await first).status).toBe(504);
    expect(await (await fetch(gateway.url)).text()).toBe('ok');
    expect(upstream.connections).toBe(2);
    await until(() => upstream.open === 1, 'the first connection is closed');
  });

  it('is not asked when it is only slow with one of many', async () => {
    const upstream = await startFrameUpstream('slow', {
      onRequest: (connection, stream) => {
        if (stream > 1) ok(connection, stream);
      },
    });
    const gateway = await gatewayTo([upstream.url], {}, { retry: false, timeout: { head: '300ms' } });
    const slow = fetch(gateway.url);
    await until(() => upstream.requests === 1, 'the slow one is there');
    expect((await fetch(gateway.url)).status).toBe(200);
    expect((await slow).status).toBe(504);
    expect((await fetch(gateway.url)).status).toBe(200);
    expect(upstream.connections).toBe(1);
    expect(upstream.frames.filter(({ type }) => type === Type.ping)).toEqual([]);
  });
});

describe('clients that come and go', () => {
  it('do not bring the endpoint to close what others use', async () => {
    // As Node guards itself against rapid resets: a burst of 300, then the session is over for all.
    const upstream = await startHttp2Upstream('guarded', http2ByPath({ hang: ignore }));
    const gateway = await gatewayTo([upstream.url], {}, { retry: false });
    const load = startLoad(gateway.url, { clients: 2 });
    for (let round = 0; round < 60; round++) {
      const clients = await Promise.all(Array.from({ length: 20 }, () => RawConnection.open(gateway.port)));
      const before = upstream.requests;
      for (const client of clients) client.send(request('GET', '/hang', 'a.test'));
      await until(() => upstream.requests >= before + 20, 'they are there');
      for (const client of clients) client.reset();
    }
    await load.stop();
    expect(load.failures).toEqual([]);
    expect(upstream.resets.filter((code) => code === CANCEL).length).toBeGreaterThan(1000);
    expect(upstream.sessions.length).toBeGreaterThan(5);
  });
});

describe('a reload', () => {
  it('that changes the protocol loses nothing', async () => {
    const one = await startUpstream('one');
    const two = await startHttp2Upstream('two');
    const pools = (http2: boolean) => ({
      pools: { one: { endpoints: [http2 ? two.url : one.url], http2 } },
      routes: [{ name: 'one', pool: 'one', retry: false }],
    });
    const gateway = await gatewayFixture({ gateway: { threads: 2 }, files: { 'one.yaml': pools(false) } });
    const load = startLoad(gateway.url, { clients: 8, method: 'POST' });
    for (let round = 1; round <= 6; round++) {
      const { served } = load;
      await until(() => load.served > served + 50, 'some are served');
      await gateway.write('one.yaml', pools(round % 2 === 1));
      expect((await gateway.reload()).status).toBe(200);
    }
    await load.stop();
    expect(load.failures).toEqual([]);
    expect(Object.keys(load.byInstance).sort()).toEqual(['one', 'two']);
    await until(() => two.open === 0, 'no connection of the other protocol is left');
  });

  it('that changes nothing keeps the session', async () => {
    const upstream = await startHttp2Upstream('a');
    const gateway = await gatewayTo([upstream.url]);
    await fetch(gateway.url);
    await gateway.write('one.yaml', service([upstream.url], {}, { timeout: { head: '3s' } }));
    await gateway.reload();
    await fetch(gateway.url);
    expect(upstream.connections).toBe(1);
  });
});

it('an endpoint that is killed under load is missed by nobody who has another', async () => {
  const upstreams = await Promise.all(['a', 'b'].map((name) => startHttp2Upstream(name)));
  const gateway = await gatewayTo(upstreams.map(({ url }) => url));
  const load = startLoad(gateway.url, { clients: 8 });
  await until(() => load.served > 100, 'some are served');
  await upstreams[0]!.kill();
  const { served } = load;
  await until(() => load.served > served + 100, 'others are served');
  await load.stop();
  expect(load.failures).toEqual([]);
});
