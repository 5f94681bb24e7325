/** What a client sees when an upstream says something wrong: an error or a broken connection, never a lie. */
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startFaultyUpstream, type FaultName, type FaultyUpstream } from '../support/faulty-upstream.ts';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';
import { ask, RawConnection, request, type RawResult } from '../support/raw-client.ts';
import { timed } from '../support/until.ts';

let upstream: FaultyUpstream;
let gateway: GatewayFixture;

beforeAll(async () => {
  upstream = await startFaultyUpstream();
  gateway = await gatewayFixture({
    gateway: { accessLog: { enabled: false } },
    files: {
      'faults.yaml': {
        pools: { faulty: { endpoints: [upstream.url], health: { passive: false } } },
        routes: [
          { name: 'faults', match: { path: '/*' }, pool: 'faulty', retry: false },
          {
            name: 'limited',
            match: { path: '/limited/*' },
            pool: 'faulty',
            retry: false,
            timeout: { head: '300ms', idle: '300ms', total: '600ms' },
          },
        ],
      },
    },
  });
});

beforeEach(() => upstream.clear());

const get = (path: string, method = 'GET'): Promise<RawResult> =>
  ask(gateway.port, request(method, path, 'any.test', ['Connection: close']), { answers: 0, methods: [method] });

/** The gateway’s own answer: an error of the catalogue, with nothing of the upstream in it. */
function expectError(result: RawResult, status: number, type: RegExp): void {
  expect(result.responses.map((response) => response.status)).toEqual([status]);
  const answer = result.responses[0]!;
  expect(answer.field('proxy-status')).toMatch(type);
  expect(answer.field('content-type')).toMatch(/^application\/problem\+json/);
  expect(answer.text()).not.toMatch(/127\.0\.0\.1|smuggled|SSH|HPE_|\.ts\b|\bat .*:\d/);
  expect(result.leftover).toHaveLength(0);
}

/** A head went out at most, the body did not end: the client can tell that it has not got all. */
function expectBroken({ responses, closed, leftover }: RawResult): void {
  expect(responses).toEqual([]);
  expect(leftover.toString('latin1')).toMatch(/^$|^HTTP\/1\.1 200 /);
  expect(closed).not.toBe('open');
}

describe('no whole answer', () => {
  it.each<FaultName>(['reset-before-head', 'close-before-head', 'reset-mid-head', 'close-mid-head'])(
    '%s is 502',
    async (fault) => {
      expectError(await get(`/${fault}`), 502, /error=(connection_terminated|http_response_incomplete)/);
      expect(upstream.requests).toBe(1);
    },
  );

  it.each<FaultName>(['reset-mid-body', 'close-mid-body', 'close-mid-chunk', 'close-before-last-chunk'])(
    '%s breaks the client’s connection and is not tried again',
    async (fault) => {
      expectBroken(await get(`/${fault}`));
      expect(upstream.requests).toBe(1);
    },
  );

  it.each<FaultName>(['hang', 'drip-head'])('%s is 504 at the limit', async (fault) => {
    const { value, ms } = await timed(() => get(`/limited/${fault}`));
    expectError(value, 504, /error=http_response_timeout/);
    expect(ms).toBeGreaterThan(270);
  });

  it('a body that stops is cut at the idle limit', async () => {
    expectBroken(await get('/limited/hang-mid-body'));
  });

  it('a body that drips is cut at the total limit: a byte now and then does not save it', async () => {
    const { value, ms } = await timed(() => get('/limited/drip-body'));
    expectBroken(value);
    expect(ms).toBeGreaterThan(540);
  });
});

describe('what is no HTTP/1.1', () => {
  it.each<FaultName>([
    'garbage',
    'http-0.9',
    'http-2.0',
    'status-99',
    'status-text',
    'bare-lf',
    'nul-in-field',
    'space-before-colon',
    'both-framings',
    'bad-length',
    'signed-length',
    'two-lengths',
    'length-list',
    'unknown-coding',
    'two-codings',
    'length-beyond-numbers',
    'empty-length',
    'chunked-in-1.0',
    'folded-coding',
    'cr-in-field',
    'empty-name',
    'status-600',
    'interim-flood',
    'continue-flood',
    'unasked-upgrade',
  ])('%s is 502', async (fault) => {
    const { interim, ...result } = await get(`/${fault}`);
    expectError({ ...result, interim }, 502, /error=http_protocol_error/);
    expect(interim.length).toBeLessThanOrEqual(32);
    await expectCleanNext();
  });

  it.each<FaultName>(['huge-field', 'many-fields'])('%s is 502', async (fault) => {
    expectError(await get(`/${fault}`), 502, /error=(http_response_header_section_size|http_protocol_error)/);
    await expectCleanNext();
  });

  it('folded-field is 502 or unfolded', async () => {
    const result = await get('/folded-field');
    if (result.responses[0]?.status !== 200) expectError(result, 502, /error=http_protocol_error/);
    else expect(result.responses[0].field('x-folded')).toBe('a b');
  });

  it('bad-chunk-size breaks the client’s connection or is 502', async () => {
    const result = await get('/bad-chunk-size');
    if (result.responses.length > 0) expectError(result, 502, /error=/);
    else expectBroken(result);
    await expectCleanNext();
  });
});

describe('bytes where none belong', () => {
  it.each<FaultName>(['extra-bytes', 'body-on-204', 'answer-on-204', 'answer-on-304'])(
    '%s never reaches the next client',
    async (fault) => {
      const result = await get(`/${fault}`);
      expect(result.responses).toHaveLength(1);
      expect(result.responses[0]!.text()).not.toContain('smuggled');
      expect(result.leftover).toHaveLength(0);
      await expectCleanNext();
    },
  );

  it('body-on-head never reaches the next client', async () => {
    const result = await get('/body-on-head', 'HEAD');
    expect(result.responses[0]?.status).toBe(200);
    expect(result.leftover).toHaveLength(0);
    await expectCleanNext();
  });

  it('field names that objects are born with pass as any other, in an interim answer too', async () => {
    const { interim, responses } = await get('/early-prototype');
    expect(interim.map(({ fields }) => fields)).toEqual([['__proto__', 'a', 'constructor', 'b', 'toString', 'c']]);
    expect(responses[0]?.text()).toBe('hinted');
  });

  it('twenty thousand chunks of one byte arrive whole', async () => {
    expect((await get('/one-byte-chunks')).responses[0]?.text()).toBe('x'.repeat(20_000));
  });

  it.each<FaultName>(['length-on-interim', 'named-length'])('%s changes nothing about the answer', async (fault) => {
    const { responses, leftover } = await get(`/${fault}`);
    expect(responses.map((response) => response.text())).toEqual(['ok']);
    expect(leftover).toHaveLength(0);
    await expectCleanNext();
  });

  it('a redirection is the client’s to follow, and what is encoded in it stays so', async () => {
    const { responses } = await get('/injecting-location');
    expect(responses[0]?.status).toBe(302);
    expect(responses[0]?.field('location')).toBe('http://evil.test/%0d%0aSet-Cookie:%20a=b');
    expect(responses[0]?.field('set-cookie')).toBeUndefined();
    expect(upstream.requests).toBe(1);
  });

  it('an unasked 100 is dropped', async () => {
    const result = await get('/unasked-continue');
    expect(result.responses[0]?.text()).toBe('continued');
  });
});

describe('an answer before the body was read', () => {
  it.each(['early-answer', 'early-close'])('%s arrives, and the connection is closed or in step', async (fault) => {
    const connection = await RawConnection.open(gateway.port);
    connection.send(`POST /${fault} HTTP/1.1\r\nHost: any.test\r\nContent-Length: 500000\r\n\r\n${'x'.repeat(1_000)}`);
    const answer = await connection.answer('POST');
    expect(answer.status).toBe(403);
    expect(answer.text()).toBe('no!');
    expect(answer.field('connection')).toBe('close');
    await connection.wait(() => false, 'the close');
    await expectCleanNext();
  });

  it('reset-upload is 502', async () => {
    const result = await ask(gateway.port, request('POST', '/reset-upload', 'any.test', [], 'x'.repeat(100_000)));
    expectError(result, 502, /error=(connection_terminated|http_response_incomplete)/);
  });
});

/** Several, so that a spoilt connection of the pool would be met. */
async function expectCleanNext(): Promise<void> {
  for (const path of ['/next/1', '/next/2', '/next/3']) {
    const { responses, leftover } = await get(path);
    expect(responses.map(({ status }) => status)).toEqual([200]);
    expect(JSON.parse(responses[0]!.text())).toMatchObject({ target: path });
    expect(leftover).toHaveLength(0);
  }
}
