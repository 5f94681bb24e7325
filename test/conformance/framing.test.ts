/** What the listener takes for a request, byte by byte, and what of it reaches the upstream. */
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startFaultyUpstream, type FaultyUpstream } from '../support/faulty-upstream.ts';
import { valuesOf } from '../support/http1.ts';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';
import { ask, RawConnection, request, type RawResult } from '../support/raw-client.ts';
import type { Echo, Seen } from '../support/upstream.ts';
import type { Case, Expectation } from './case.ts';
import { CORPUS } from './corpus.ts';

let origin: FaultyUpstream;
let gateway: GatewayFixture;

beforeAll(async () => {
  origin = await startFaultyUpstream('origin');
  gateway = await gatewayFixture({
    gateway: { accessLog: { enabled: false } },
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

type CaseOf<Kind> = Case & { expect: Extract<Expectation, { kind: Kind }> };
const of = <Kind extends Expectation['kind']>(kind: Kind) =>
  CORPUS.filter((entry): entry is CaseOf<Kind> => entry.expect.kind === kind);

describe('a malformed head', () => {
  it.each(of('refused'))('is refused and forgotten: $name', async ({ bytes, expect: { statuses } }) => {
    const result = await ask(gateway.port, bytes, { answers: 0 });
    expectRefusal(result, statuses);
    expect(result.responses).toHaveLength(1);
    expect(origin.heads).toEqual([]);
    await expectInOrder();
  });
});

describe('a malformed body', () => {
  it.each(of('cut'))('never completes a request at the upstream: $name', async ({ bytes, expect: { statuses } }) => {
    const result = await ask(gateway.port, bytes, { answers: 0 });
    expect(result.closed).not.toBe('open');
    if (result.responses.length > 0) expectRefusal(result, statuses);
    expect(origin.seen).toEqual([]);
    await expectInOrder();
  });
});

describe('a good request', () => {
  it.each(of('forwarded'))('arrives once, as it was sent: $name', async ({ bytes, methods, expect: { as } }) => {
    const result = await ask(gateway.port, bytes, { answers: as.length, ...(methods && { methods }) });
    expect(result.responses.map(({ status }) => status)).toEqual(as.map(() => 200));
    expect(result.responses.map((response) => (JSON.parse(response.text()) as Echo).target)).toEqual(
      as.map(([, target]) => target),
    );
    expect(result.leftover).toHaveLength(0);
    expect(arrived()).toEqual(as);
    await expectInOrder();
  });
});

describe('an unusual request', () => {
  it.each(of('either'))(
    'leaves its connection in step: $name',
    async ({ bytes, methods, expect: { as, statuses } }) => {
      const connection = await RawConnection.open(gateway.port);
      connection.send(bytes);
      const answer = await connection.answer(methods?.[0]);
      if (answer.status !== 200) {
        expect(statuses).toContain(answer.status);
        expect(arrived()).toEqual([]);
        await connection.wait(() => false, 'the close behind a refusal');
      } else {
        expect(arrived()).toEqual([as]);
        connection.send(request('GET', '/after', 'any.test'));
        expect(JSON.parse((await connection.answer()).text())).toMatchObject({ target: '/after' });
      }
      connection.close();
      await expectInOrder();
    },
  );

  it('takes with it what stands behind it, also while another still waits for its answer', async () => {
    const twoHosts = 'GET /2 HTTP/1.1\r\nHost: any.test\r\nHost: any.test\r\n\r\n';
    const bytes = request('GET', '/drip-head', 'any.test') + twoHosts + request('GET', '/smuggled', 'any.test');
    const result = await ask(gateway.port, bytes, { answers: 0 });
    expect(result.responses.map(({ status }) => status)).toEqual([200, 400]);
    expect(result.closed).not.toBe('open');
    expect(arrived().map(([, target]) => target)).toEqual(['/drip-head']);
    await expectInOrder();
  });

  it('behind a good one is refused after the first was answered or cut, and never forwarded', async () => {
    const result = await ask(gateway.port, request('GET', '/1', 'any.test') + 'GET /2 HTTP/1.1\r\nHost: a b\r\n\r\n', {
      answers: 0,
    });
    expect(result.responses.at(-1)?.status).toBe(400);
    expect(result.closed).not.toBe('open');
    expect(arrived().filter(([, target]) => target !== '/1')).toEqual([]);
    await expectInOrder();
  });
});

function expectRefusal(result: RawResult, statuses: readonly number[]): void {
  const refusal = result.responses.at(-1);
  expect(statuses, `of ${refusal?.startLine ?? result.closed}`).toContain(refusal?.status);
  expect(refusal?.field('connection')).toBe('close');
  expect(result.closed).not.toBe('open');
  expect(result.malformed).toBeUndefined();
}

/** Whatever was sent, the gateway serves the next client, and the upstream saw nothing but requests. */
async function expectInOrder(): Promise<void> {
  const probe = await ask(gateway.port, request('GET', '/probe', 'any.test'));
  expect(probe.responses.map(({ status }) => status)).toEqual([200]);
  expect(origin.malformed).toEqual([]);
  expect(arrived().map(([, target]) => target)).not.toContain('/smuggled');
  for (const { fields, trailers } of origin.seen) {
    expect(valuesOf([...fields, ...trailers], 'host')).not.toContain('evil.test');
    expect([...fields, ...trailers]).not.toContain('evil');
  }
}

function arrived(): [string, string, string][] {
  return origin.seen.map(({ method, target, body }: Seen) => [method, target, body.toString('latin1')]);
}
