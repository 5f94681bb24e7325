import { describe, expect, test } from 'vitest';
import { ACTIVE } from '../../../../test/support/config.ts';
import { startFaultyUpstream } from '../../../../test/support/faulty-upstream.ts';
import { startHttp2Upstream } from '../../../../test/support/http2-upstream.ts';
import { cleanup } from '../../../../test/support/cleanup.ts';
import { until, within } from '../../../../test/support/until.ts';
import { closedPort, hang, startUpstream, status, type Answer } from '../../../../test/support/upstream.ts';
import type { ActiveHealthConfig } from '../../../config/schema.ts';
import { createChecker, type CheckResult } from '../checker.ts';

async function check(
  url: string,
  settings: Partial<ActiveHealthConfig>,
  signal = new AbortController().signal,
  http2 = false,
): Promise<CheckResult> {
  const checker = createChecker({ ...ACTIVE, ...settings }, undefined, http2);
  cleanup(async () => checker.close());
  return within(checker.check({ url }, signal), 'an answer to the check');
}

const says =
  (body: string): Answer =>
  (_request, response) =>
    response.end(body);

describe('http', () => {
  test('asks what it was told to ask, on a connection of its own', async () => {
    const upstream = await startUpstream('a');
    const settings = { path: '/healthz?deep=1', method: 'HEAD', headers: { host: 'api.example.com' } };
    await check(upstream.url, settings);
    await check(upstream.url, settings);
    expect(upstream.seen[0]).toMatchObject({ method: 'HEAD', target: '/healthz?deep=1' });
    expect(upstream.seen[0]!.fields.join(' ')).toContain('api.example.com');
    expect(upstream.connections).toBe(2);
    await until(() => upstream.open === 0, 'no connection is kept');
  });

  test.each([
    [204, [[200, 399]], true],
    [302, [[200, 399]], true],
    [503, [[200, 399]], false],
    [
      404,
      [
        [200, 200],
        [404, 404],
      ],
      true,
    ],
  ] as const)('a %i where %j is expected: %s', async (code, ranges, ok) => {
    const upstream = await startUpstream('a', status(code));
    const expect_ = { status: ranges.map(([first, last]) => [first, last] as [number, number]) };
    expect(await check(upstream.url, { expect: expect_ })).toEqual({ ok, reason: `status ${code}` });
    expect(upstream.requests).toBe(1);
  });

  test('the body must hold the text', async () => {
    const upstream = await startUpstream('a', says('all is ok here'));
    const body = (text: string) => ({ expect: { status: ACTIVE.expect.status, body: text } });
    expect(await check(upstream.url, body('is ok'))).toEqual({ ok: true, reason: 'status 200' });
    expect(await check(upstream.url, body('degraded'))).toEqual({ ok: false, reason: 'status 200, unexpected body' });
  });

  test('the body must match the pattern', async () => {
    const upstream = await startUpstream('a', says('{"lag": 17}'));
    const body = (regex: string) => ({ expect: { status: ACTIVE.expect.status, body: { regex } } });
    expect((await check(upstream.url, body('"lag": \\d\\d?\\}'))).ok).toBe(true);
    expect((await check(upstream.url, body('"lag": \\d\\}'))).ok).toBe(false);
  });

  test('of a body without end it reads 64 KiB, and hangs up', async () => {
    const upstream = await startUpstream('a', (_request, response) => {
      const more = (): void => void (response.write('x'.repeat(16_384)) && !response.destroyed && setImmediate(more));
      response.on('drain', more).on('error', () => {});
      more();
    });
    const settings = { expect: { status: ACTIVE.expect.status, body: 'never said' } };
    expect((await check(upstream.url, settings)).ok).toBe(false);
    await until(() => upstream.open === 0, 'the connection is closed');
  });

  test('a body that nobody expects is not waited for', async () => {
    const upstream = await startUpstream('a', (_request, response) => {
      response.writeHead(200, { 'content-length': '10' });
      response.write('half');
    });
    expect((await check(upstream.url, {})).ok).toBe(true);
    await until(() => upstream.open === 0, 'the connection is closed');
  });

  test('an answer that breaks off inside the expected body is bad', async () => {
    const upstream = await startFaultyUpstream('a');
    const settings = { path: '/close-mid-body', expect: { status: ACTIVE.expect.status, body: 'half' } };
    expect((await check(upstream.url, settings)).ok).toBe(false);
  });

  test.each([
    ['garbage', 'answer is not HTTP'],
    ['reset-before-head', 'connection reset'],
    ['close-before-head', 'connection closed early'],
  ])('%s is told as: %s', async (fault, reason) => {
    const upstream = await startFaultyUpstream('a');
    expect(await check(upstream.url, { path: `/${fault}` })).toEqual({ ok: false, reason });
  });

  test('nobody there is told as: connection refused', async () => {
    expect(await check(`http://127.0.0.1:${await closedPort()}`, {})).toEqual({
      ok: false,
      reason: 'connection refused',
    });
  });

  test('another port can answer for the service', async () => {
    const health = await startUpstream('health');
    expect((await check('http://127.0.0.1:1', { port: health.port })).ok).toBe(true);
  });

  test('when told to stop it lets go of the connection', async () => {
    const upstream = await startUpstream('a', hang);
    const abort = new AbortController();
    const answer = check(upstream.url, {}, abort.signal);
    await until(() => upstream.requests === 1, 'the probe arrived');
    abort.abort();
    expect((await answer).ok).toBe(false);
    await until(() => upstream.open === 0, 'the connection is closed');
  });
});

test('a certificate file that is missing is told as the reason, and stops nothing else', async () => {
  const checker = createChecker(ACTIVE, { verify: true, minVersion: '1.2', ca: '/nowhere/ca.pem' });
  const result = await checker.check({ url: 'https://127.0.0.1:1' }, new AbortController().signal);
  expect(result.ok).toBe(false);
  expect(result.reason).toContain('/nowhere/ca.pem');
});

describe('tcp', () => {
  test('a port that accepts is healthy, and nothing is sent to it', async () => {
    const upstream = await startUpstream('a', hang);
    expect(await check(upstream.url, { tcp: true })).toEqual({ ok: true, reason: 'connected' });
    await until(() => upstream.open === 0, 'the connection is closed');
    expect(upstream.requests).toBe(0);
  });

  test('a closed port is not', async () => {
    const reason = 'connection refused';
    expect(await check(`http://127.0.0.1:${await closedPort()}`, { tcp: true })).toEqual({ ok: false, reason });
  });

  test('a check that is told to stop before it connected is bad', async () => {
    const upstream = await startUpstream('a', hang);
    expect((await check(upstream.url, { tcp: true }, AbortSignal.abort())).ok).toBe(false);
  });
});

describe('http over HTTP/2', () => {
  const ask = (url: string, settings: Partial<ActiveHealthConfig> = {}, signal?: AbortSignal) =>
    check(url, settings, signal ?? new AbortController().signal, true);

  test('asks what it was told to ask, on a connection of its own', async () => {
    const upstream = await startHttp2Upstream('a');
    const settings = {
      path: '/healthz',
      headers: { Host: 'api.example.com' },
      expect: { status: [[200, 200] as [number, number]], body: 'healthz' },
    };
    expect(await ask(upstream.url, settings)).toEqual({ ok: true, reason: 'status 200' });
    expect((await ask(upstream.url, { ...settings, expect: { ...settings.expect, body: 'other' } })).ok).toBe(false);
    expect(upstream.received[0]!.fields.slice(0, 8)).toContain('api.example.com');
    expect(upstream.connections).toBe(2);
    await until(() => upstream.open === 0, 'no connection is kept');
  });

  test('an endpoint that speaks HTTP/1.1, or is not there, is not healthy', async () => {
    const old = await startUpstream('old');
    expect((await ask(old.url)).reason).toBe('answer is not HTTP/2');
    expect((await ask(`http://127.0.0.1:${await closedPort()}`)).reason).toBe('connection refused');
    expect((await ask(old.url, { headers: { connection: 'close' } })).ok).toBe(false);
  });

  test('one that is given up leaves nothing open', async () => {
    const silent = await startHttp2Upstream('silent', () => {});
    const abort = new AbortController();
    const checked = ask(silent.url, {}, abort.signal);
    await until(() => silent.requests === 1, 'the question is there');
    abort.abort();
    expect((await checked).ok).toBe(false);
    await until(() => silent.open === 0, 'no connection is kept');
  });
});
