import { expect, it } from 'vitest';
import { parseCookies } from '../../data/match/request-view.ts';
import { cookieValue, setCookieValue } from './cookie-value.ts';

it.each([
  ['aya=1', '1'],
  ['a=0; aya=1', '1'],
  ['a=0;aya=1', '1'],
  ['aya=1; aya=2', '1'],
  ['xaya=0; aya=1', '1'],
  ['ayax=0; aya=1', '1'],
  ['a=aya; aya=1', '1'],
  ['a=aya=0; aya=1', '1'],
  ['aya=', ''],
  ['aya=a=b', 'a=b'],
  ['aya', undefined],
  ['', undefined],
  ['x-aya=1', undefined],
  ['theme=aya', undefined],
])('of "%s" the cookie is %j, as for everybody else', (field, value) => {
  expect(cookieValue(field, 'aya')).toBe(value);
  expect(parseCookies(field).get('aya')).toBe(value);
});

it('several fields that were joined are one', () => {
  expect(cookieValue('theme=dark, aya=1, lang=de', 'aya')).toBe('1');
});

it.each([
  [['set-cookie', 'SESSION=1; Path=/'], '1'],
  [['Set-Cookie', 'SESSION=1'], '1'],
  [['set-cookie', 'OTHER=1', 'set-cookie', 'SESSION=2; HttpOnly'], '2'],
  [['set-cookie', 'SESSIONS=1'], undefined],
  [['set-cookie', 'SESSION=; Max-Age=0'], undefined],
  [['cookie', 'SESSION=1'], undefined],
  [[], undefined],
])('answers with %j set %j', (fields, value) => {
  expect(setCookieValue(fields, 'SESSION')).toBe(value);
});
