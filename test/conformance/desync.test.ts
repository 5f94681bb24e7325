/** Requests that two parties could read in two ways, by the tiers of AWS's desync guardian. */
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startFaultyUpstream, type FaultyUpstream } from '../support/faulty-upstream.ts';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';
import { ask, RawConnection, request } from '../support/raw-client.ts';
import { DESYNC, type Tier } from './desync.ts';

let origin: FaultyUpstream;
let gateway: GatewayFixture;

beforeAll(async () => {
  origin = await startFaultyUpstream('origin');
  gateway = await gatewayFixture({
    files: {
      'origin.yaml': {
        pools: { origin: { endpoints: [origin.url], health: { passive: false } } },
        routes: [{ name: 'all', pool: 'origin' }],
      },
    },
  });
});

beforeEach(() => {
  origin.clear();
  origin.heads.length = 0;
  origin.malformed.length = 0;
});

const of = (...tiers: Tier[]) => DESYNC.filter(({ tier }) => tiers.includes(tier));

it('the tables are whole', () => {
  expect(DESYNC).toHaveLength(158);
  expect(new Set(DESYNC.map(({ bytes }) => bytes)).size).toBeGreaterThan(150);
});

describe('a severe request', () => {
  it.each(of('severe'))('is refused, its connection closed, and nothing of it forwarded: $name', async ({ bytes }) => {
    const { responses, closed } = await ask(gateway.port, bytes, { answers: 0 });
    expect(responses).toHaveLength(1);
    expect([400, 501, 505]).toContain(responses[0]?.status);
    expect(responses[0]?.field('connection')).toBe('close');
    expect(closed).not.toBe('open');
    expect(origin.heads).toEqual([]);
    await expectCleanProbe();
  });
});

describe('an ambiguous request', () => {
  it.each(of('ambiguous'))('is refused with the close, or read in one way by all: $name', expectOneReading);
});

describe('a request that is well or nearly so', () => {
  it.each(of('compliant', 'acceptable'))('is read in one way by all: $name', expectOneReading);
});

/** At most one request arrives, whole; then the connection is closed or in step, and the next client gets its own answer. */
async function expectOneReading({ bytes, method }: { readonly bytes: string; readonly method: string }): Promise<void> {
  const connection = await RawConnection.open(gateway.port);
  connection.send(bytes);
  const answer = await connection.answer(method === 'HEAD' ? 'HEAD' : 'GET');
  if (answer.status === 200) {
    expect(origin.heads).toHaveLength(1);
    connection.send(request('GET', '/after', 'any.test'));
    expect((await connection.answer()).text()).toContain('"target":"/after"');
  } else {
    expect([400, 501, 505]).toContain(answer.status);
    expect(origin.heads).toEqual([]);
    await connection.wait(() => false, 'the close');
    expect(connection.closed).not.toBe('open');
  }
  connection.close();
  await expectCleanProbe();
}

async function expectCleanProbe(): Promise<void> {
  const probe = await ask(gateway.port, request('GET', '/probe', 'any.test'));
  expect(probe.responses[0]?.text()).toContain('"target":"/probe"');
  expect(origin.malformed).toEqual([]);
  expect(origin.seen.map(({ target }) => target)).not.toContain('/smuggled');
}
