/** What the listener takes for a request of HTTP/2, and what of it reaches an upstream that speaks HTTP/1.1 (F59). */
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startFaultyUpstream, type FaultyUpstream } from '../support/faulty-upstream.ts';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';
import { H2Connection, type Outcome } from '../support/h2-frames.ts';
import { valuesOf } from '../support/http1.ts';
import { ask, request } from '../support/raw-client.ts';
import type { Echo, Seen } from '../support/upstream.ts';
import { get, GOOD_HEADS, REFUSED_HEADS } from './http2-heads.ts';

let origin: FaultyUpstream;
let gateway: GatewayFixture;

beforeAll(async () => {
  origin = await startFaultyUpstream('origin');
  gateway = await gatewayFixture({
    files: {
      'origin.yaml': {
        pools: { origin: { endpoints: [origin.url], health: { passive: false } } },
        routes: [{ name: 'all', pool: 'origin', retry: false }],
      },
    },
  });
});

beforeEach(() => {
  origin.clear();
  origin.heads.length = 0;
  origin.malformed.length = 0;
});

describe('a malformed head', () => {
  it.each(REFUSED_HEADS.filter(({ orWithout }) => orWithout === undefined))(
    'is refused and forgotten: $name',
    async ({ fields }) => {
      const connection = await H2Connection.open(gateway.port);
      expectRefused(await connection.ask(1, fields));
      await expectInOrder(connection);
    },
  );

  it.each(REFUSED_HEADS.filter(({ orWithout }) => orWithout !== undefined))(
    'is refused, or the field is as if it had not been sent: $name',
    async ({ fields, orWithout }) => {
      const connection = await H2Connection.open(gateway.port);
      const outcome = await connection.ask(1, fields);
      if (outcome.status !== 200) expectRefused(outcome);
      else {
        expect(arrived()).toEqual(['GET /t']);
        if (orWithout !== 'host') expect(valuesOf(origin.seen[0]!.fields, orWithout!)).toEqual([]);
      }
      await expectInOrder(connection);
    },
  );
});

describe('a good head', () => {
  it.each(GOOD_HEADS)('arrives once: $name', async ({ fields, arrives }) => {
    const connection = await H2Connection.open(gateway.port);
    const outcome = await connection.ask(1, fields);
    expect(outcome).toMatchObject({ status: 200, isWhole: true, reset: undefined });
    expect(arrived()).toHaveLength(1);
    expect(origin.seen[0]!.fields).toEqual(expect.arrayContaining([...arrives]));
    expect(valuesOf(origin.seen[0]!.fields, 'host')).toEqual(['any.test']);
    await expectInOrder(connection);
  });
});

/** A reset, the end of the connection, or an error; the upstream heard nothing. */
function expectRefused({ status, reset, goaway, isClosed }: Outcome): void {
  if (status !== undefined) expect([400, 404, 405, 414, 421, 431, 501]).toContain(status);
  else expect(reset !== undefined || goaway !== undefined || isClosed).toBe(true);
  expect(origin.heads).toEqual([]);
}

/** Whatever was sent, the next one is served, here if the connection still lives and elsewhere; nothing was smuggled. */
async function expectInOrder(connection: H2Connection): Promise<void> {
  if (!connection.hasEnded) {
    const { status, body } = await connection.ask(3, get('/probe'));
    expect(status).toBe(200);
    expect(JSON.parse(body.toString()) as Echo).toMatchObject({ target: '/probe' });
  }
  connection.close();
  const { responses } = await ask(gateway.port, request('GET', '/probe', 'any.test'));
  expect(responses.map(({ status }) => status)).toEqual([200]);
  expect(origin.malformed).toEqual([]);
  for (const line of arrived()) expect(line).not.toContain('evil');
  for (const { fields, body } of origin.seen) {
    expect(valuesOf(fields, 'host')).toEqual(['any.test']);
    expect(valuesOf(fields, 'transfer-encoding')).toEqual([]);
    expect(fields.join('\n')).not.toContain('evil');
    expect(body).toHaveLength(0);
  }
}

function arrived(): string[] {
  return origin.seen.map(({ method, target }: Seen) => `${method} ${target}`);
}
