import { describe, expect, it } from 'vitest';
import { createGuard, isLoopback } from './guard.ts';

const get = (path: string, headers: Record<string, string> = {}) => ({ method: 'GET', path, headers });
const TOKEN = 'a-long-enough-token';

describe('the admin server with a token', () => {
  const guard = createGuard('0.0.0.0', TOKEN);

  it('answers who shows it', () => {
    expect(guard(get('/pools', { authorization: `Bearer ${TOKEN}` }))).toBeUndefined();
    expect(guard(get('/pools', { authorization: `bearer ${TOKEN}` }))).toBeUndefined();
  });

  it.each([
    ['nothing', undefined],
    ['another token', 'Bearer a-long-enough-tokem'],
    ['a beginning of it', `Bearer ${TOKEN.slice(0, -1)}`],
    ['more than it', `Bearer ${TOKEN}x`],
    ['it twice', `Bearer ${TOKEN} ${TOKEN}`],
    ['another scheme', `Basic ${TOKEN}`],
    ['the bare token', TOKEN],
    ['an empty token', 'Bearer '],
  ])('refuses who shows %s', (_, authorization) => {
    expect(guard(get('/pools', authorization === undefined ? {} : { authorization }))).toMatchObject({ status: 401 });
  });

  it('lets anybody ask whether it lives and is ready, and nothing else', () => {
    expect(guard(get('/livez'))).toBeUndefined();
    expect(guard(get('/readyz'))).toBeUndefined();
    for (const path of ['/readyz/', '/livezx', '//livez', '/metrics'])
      expect(guard(get(path))).toMatchObject({ status: 401 });
  });

  it('does not care by which name it is asked: a web page does not have the token', () => {
    expect(guard(get('/pools', { host: 'gateway-1:9901', authorization: `Bearer ${TOKEN}` }))).toBeUndefined();
  });
});

describe('the admin server without a token', () => {
  const guard = createGuard('127.0.0.1', undefined);

  it.each(['127.0.0.1:9901', '127.0.0.1', 'localhost:9901', 'LOCALHOST', '[::1]:9901', '10.1.2.3'])(
    'answers as %s',
    (host) => {
      expect(guard(get('/pools', { host }))).toBeUndefined();
    },
  );

  it.each([
    'evil.example',
    'evil.example:9901',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    '[::1',
    '[evil]',
    '',
  ])('refuses to be %s: a page that rebinds its name gets nothing', (host) => {
    expect(guard(get('/pools', { host }))).toMatchObject({ status: 421 });
  });

  it('refuses a request without Host', () => {
    expect(guard(get('/pools'))).toMatchObject({ status: 421 });
  });

  it('tells a balancer whether it is ready, under any name and under none', () => {
    const guard = createGuard('127.0.0.1', undefined);
    expect(guard(get('/readyz'))).toBeUndefined();
    expect(guard(get('/livez', { host: 'gateway-1.internal' }))).toBeUndefined();
  });

  it('answers as the name that it was given', () => {
    expect(createGuard('localhost', undefined)(get('/pools', { host: 'localhost' }))).toBeUndefined();
  });
});

describe('orders', () => {
  it('are not taken from web pages, with or without a token', () => {
    const headers = { host: 'localhost', origin: 'http://localhost', authorization: `Bearer ${TOKEN}` };
    const order = { method: 'POST', path: '/reload', headers };
    expect(createGuard('127.0.0.1', undefined)(order)).toMatchObject({ status: 403 });
    expect(createGuard('0.0.0.0', TOKEN)(order)).toMatchObject({ status: 403 });
  });
});

describe('loopback', () => {
  it('is 127.0.0.0/8, ::1 and localhost', () => {
    for (const host of ['127.0.0.1', '127.9.9.9', '::1', 'localhost']) expect(isLoopback(host)).toBe(true);
    for (const host of ['0.0.0.0', '::', '10.0.0.1', '128.0.0.1', 'example.com', ''])
      expect(isLoopback(host)).toBe(false);
  });
});
