import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../clock.ts';
import { GatewayError } from '../../errors.ts';
import { compilePath, pathMatches } from './path-pattern.ts';
import { isNormalPath, normaliseTarget, routePathOf } from './target.ts';

const read = (raw: string, method = 'GET') => normaliseTarget(raw, method);

function refusalOf(raw: string, method = 'GET'): GatewayError | undefined {
  try {
    normaliseTarget(raw, method);
    return undefined;
  } catch (error) {
    if (error instanceof GatewayError) return error;
    throw error;
  }
}

describe('a target in normal form', () => {
  it.each([
    ['/', '/', ''],
    ['/orders/7', '/orders/7', ''],
    ['/orders/7/', '/orders/7/', ''],
    ['/a.b/c..d/e...', '/a.b/c..d/e...', ''],
    ["/!$&'()*+,=:@-_~", "/!$&'()*+,=:@-_~", ''],
    ['/orders?a=1&b=/../%2e%zz?;', '/orders', 'a=1&b=/../%2e%zz?;'],
    ['/orders?', '/orders', ''],
  ])('%s is sent as it came', (raw, path, search) => {
    expect(read(raw)).toEqual({ path, routePath: path, search, authority: undefined, encodedSlash: false });
  });
});

describe('one path has one spelling', () => {
  it.each([
    ['/%61dmin', '/admin'],
    ['/%7Ejoe', '/~joe'],
    ['/caf%c3%a9', '/caf%C3%A9'],
    ['/caf\u00c3\u00a9', '/caf%C3%A9'],
    ['/a|b<c>"^`{}', '/a%7Cb%3Cc%3E%22%5E%60%7B%7D'],
    ['//a///b//', '/a/b/'],
    ['/./a/./b/.', '/a/b/'],
    ['/a/../b', '/b'],
    ['/a/b/..', '/a/'],
    ['/a/%2e%2E/b', '/b'],
    ['/a//../b', '/b'],
    ['/.well-known/x', '/.well-known/x'],
    ['/...', '/...'],
    ['/100%25', '/100%25'],
    ['/a%2520b', '/a%2520b'],
    ['/a%0d%0ab', '/a%0D%0Ab'],
    ['//evil.test/x', '/evil.test/x'],
  ])('%s is sent as %s', (raw, path) => {
    expect(read(raw).path).toBe(path);
    expect(read(path).path).toBe(path);
  });

  it('non-ASCII bytes of a query are escaped, its other characters kept', () => {
    expect(read('/a?q=\u00e9|%zz\\').search).toBe('q=%E9|%zz\\');
  });
});

describe('a target is refused when', () => {
  it.each([
    ['it climbs above the root', '/..'],
    ['it climbs above the root after going down', '/a/../../b'],
    ['it climbs in escapes', '/%2e%2e/a'],
    ['it holds a backslash', '/a\\b'],
    ['it holds a control character', '/a\u0001'],
    ['it holds a tab', '/a\tb'],
    ['it holds DEL', '/a\u007f'],
    ['it holds a space', '/a b'],
    ['it holds NUL in an escape', '/a%00'],
    ['it has a fragment', '/a#b'],
    ['it has a fragment in its query', '/a?b#c'],
    ['an escape is cut short', '/a%2'],
    ['an escape is not hexadecimal', '/a%u002e'],
    ['a sign stands for hexadecimal', '/a%-1'],
    ['UTF-8 is overlong', '/%c0%ae%c0%ae/admin'],
    ['UTF-8 is cut short', '/%c3'],
    ['UTF-8 is a surrogate', '/%ed%a0%80'],
    ['a raw byte is no UTF-8', '/\u00e9'],
    ['parameters hide a dot segment', '/a/..;/b'],
    ['parameters hide a single dot', '/a/.;x=1/b'],
    ['encoded parameters hide a dot segment', '/a/..%3Bx/b'],
    ['a segment is nothing but parameters', '/;x/admin'],
    ['an encoded slash hides a dot segment', '/a%2F..%2Fadmin'],
    ['an encoded backslash hides a dot segment', '/a/..%5Cadmin'],
    ['a letter is encoded twice', '/%2561dmin'],
    ['a dot is encoded twice', '/a/%252e%252e/admin'],
    ['a percent sign is encoded three times', '/%252561dmin'],
    ['the inner escape is itself in escapes', '/%25%36%31dmin'],
    ['NUL is encoded twice', '/a%2500'],
    ['the query holds a space', '/a?b c'],
    ['the query holds a control character', '/a?b\u0001'],
    ['it is an authority', 'example.com:443'],
    ['it is empty', ''],
    ['it is a relative path', 'a/b'],
    ['it is * of another method than OPTIONS', '*'],
    ['its scheme is not http', 'ftp://a/b'],
    ['its URL has userinfo', 'http://user@a/'],
    ['its URL has no host', 'http:///a'],
    ['its URL has a bad port', 'http://a:99999/'],
  ])('%s: %s', (_why, raw) => {
    const error = refusalOf(raw);
    expect(error).toMatchObject({ type: 'http_request_error', status: 400 });
    expect(error?.detail).toMatch(/\.$/);
  });
});

describe('the form of a target', () => {
  it('an absolute target brings its authority', () => {
    expect(read('HTTP://API.Example.com.:8080/a/%2e/b?c')).toMatchObject({
      path: '/a/b',
      search: 'c',
      authority: { host: 'api.example.com', port: 8080 },
    });
    expect(read('http://a.test')).toMatchObject({ path: '/', search: '' });
    expect(read('http://a.test?x')).toMatchObject({ path: '/', search: 'x' });
  });

  it('OPTIONS * is the server as a whole', () => {
    expect(read('*', 'OPTIONS').path).toBe('*');
  });
});

describe('the route path', () => {
  it.each([
    ['/admin;x=1/y', '/admin;x=1/y', '/admin/y'],
    ['/admin%3bx/y', '/admin%3Bx/y', '/admin/y'],
    ['/v1/job%3Acancel', '/v1/job%3Acancel', '/v1/job:cancel'],
    ['/%40me', '/%40me', '/@me'],
    ['/c%2B%2B', '/c%2B%2B', '/c++'],
    ['/c%23', '/c%23', '/c%23'],
    ['/%3fx', '/%3Fx', '/%3Fx'],
  ])('%s is sent as %s under the policy of %s', (raw, path, routePath) => {
    expect(read(raw)).toMatchObject({ path, routePath });
  });

  it('of a configured path knows Unicode', () => {
    expect(routePathOf('/café/%61')).toBe('/caf%C3%A9/a');
  });
});

describe('an encoded slash', () => {
  it.each(['/a%2Fb', '/a%2fb', '/a%5Cb', '/a%252Fb', '/a%255cb'])('is reported: %s', (raw) => {
    expect(read(raw).encodedSlash).toBe(true);
  });
  it('in the query is nobody’s business', () => {
    expect(read('/a?b=%2F').encodedSlash).toBe(false);
  });
});

describe('a rewritten path is normal', () => {
  it.each(['/', '/a', '/a/', '/.well-known', '/a%20b', '/a;x'])('%s', (path) => expect(isNormalPath(path)).toBe(true));
});
describe('a rewritten path is not normal', () => {
  it.each(['', 'a', '//a', '/a//b', '/a/../b', '/..', '/a?b', '/a b', '/%61', '/a%', '/a%2f', '/a\r\nb', '/a/..;/b'])(
    '%j',
    (path) => expect(isNormalPath(path)).toBe(false),
  );
});

/** How a careless upstream may read a path: decode, backslashes are slashes, cut parameters, merge, resolve. */
function carelessReading(path: string, decodings: number): string {
  let text = path;
  for (let turn = 0; turn < decodings; turn++)
    text = text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  const kept: string[] = [];
  for (const segment of text.replaceAll('\\', '/').split('/')) {
    const name = segment.replace(/;.*$/, '');
    if (name === '..') kept.pop();
    else if (name !== '' && name !== '.') kept.push(name);
  }
  return `/${kept.join('/')}`;
}

describe('what was matched is what is sent', () => {
  const guard = compilePath('/admin/*');
  const pieces = [
    'admin', 'Admin', 'public', 'x', 'a', 'dmin', '/', '/', '/', '//', '.', '..', './', '../', ';', ';x=1', '%3b', '%3B/',
    '%61', '%41', '%2e', '%2E%2e', '%2f', '%2F', '\\', '%5c', '%25', '%2561', '%252e', '%252f', '%255c', '%253b', '%25%36%31',
    '%', '%00', '%2500', '#', '?', '%23', '%3f', '%c0%ae', '%c0%af', '%ef%bc%8f', ' ', '%20', '%2520', '\t', '\u00e9', '*', '~', '+', ':',
  ]; // prettier-ignore

  it('every mutated target is refused, or reaches the guarded path exactly when the guard matched', () => {
    let passed = 0;
    let guarded = 0;
    for (let seed = 0; seed < 40_000; seed++) {
      const random = seededRandom(seed);
      let raw = random() < 0.5 ? '/' : '/admin';
      for (let length = 1 + Math.floor(random() * 7); length > 0; length--)
        raw += pieces[Math.floor(random() * pieces.length)];
      if (refusalOf(raw) !== undefined) continue;
      const target = read(raw);
      if (target.encodedSlash) continue; // refused by the matched route, by default
      passed++;
      const matched = pathMatches(guard, target.routePath);
      if (matched) guarded++;
      for (const decodings of [1, 2]) {
        const reached = pathMatches(guard, carelessReading(target.path, decodings));
        expect({ raw, sent: target.path, decodings, reached }).toEqual({
          raw,
          sent: target.path,
          decodings,
          reached: matched,
        });
      }
    }
    expect(passed).toBeGreaterThan(4_000);
    expect(guarded).toBeGreaterThan(1_000);
  });

  it('normalising twice changes nothing', () => {
    for (let seed = 0; seed < 10_000; seed++) {
      const random = seededRandom(seed);
      let raw = '/';
      for (let length = Math.floor(random() * 8); length > 0; length--)
        raw += pieces[Math.floor(random() * pieces.length)];
      if (refusalOf(raw) !== undefined) continue;
      const once = read(raw);
      const twice = read(once.search === '' ? once.path : `${once.path}?${once.search}`);
      expect(twice).toEqual(once);
    }
  });
});
