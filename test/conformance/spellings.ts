/**
 * Spellings of /admin/secret and /admin that a guard and a service may read differently: each has passed some proxy's
 * guard once.
 */

const DOT_SEGMENTS = [
  '/./admin/secret',
  '/.//admin/secret',
  '/x/../admin/secret',
  '/x/./../admin/secret',
  '/x/y/../../admin/secret',
  '/../admin/secret',
  '/../../admin/secret',
  '/public/..//admin/secret',
  '/admin/./secret',
  '/admin/../admin/secret',
  '/admin/x/../secret',
  '/%2e/admin/secret',
  '/%2E/admin/secret',
  '/x/%2e%2e/admin/secret',
  '/x/.%2e/admin/secret',
  '/x/%2e./admin/secret',
  '/x/%2E%2E/admin/secret',
  '/x/%252e%252e/admin/secret',
  '/%252e/admin/secret',
  '/x/..;/admin/secret',
  '/x/..;a=b/admin/secret',
  '/.;/admin/secret',
  '/x/%2e%2e;/admin/secret',
  '/x/..%00/admin/secret',
  '/x/..%20/admin/secret',
  '/x/.../admin/secret',
  '/x/%2e%2e/%2e%2e/admin/secret',
  '/x/%2e%2e%2fadmin/secret',
  '/x/..%01/admin/secret',
  '/x/..%09/admin/secret',
  '/x/..%ff/admin/secret',
  '/x/..%3b/admin/secret',
  '/x/%252e%252e%252fadmin/secret',
  '/x/.%00./admin/secret',
  '/x/%c0%ae%c0%ae%c0%afadmin/secret',
  '/x/%e0%80%ae%e0%80%ae/admin/secret',
  '/x/%ef%bc%8e%ef%bc%8e/admin/secret',
] as const;

const SLASHES = [
  '//admin/secret',
  '///admin/secret',
  '/admin//secret',
  '//admin//secret',
  '//any.test/admin/secret',
  '//evil.test/admin/secret',
  '/%2fadmin/secret',
  '/%2Fadmin/secret',
  '%2fadmin/secret',
  '/admin%2fsecret',
  '/admin%2Fsecret',
  '/x%2f..%2fadmin%2fsecret',
  '/x/..%2fadmin/secret',
  '/x%2f../admin/secret',
  '/admin%252fsecret',
  '/%252fadmin/secret',
  '\\admin\\secret',
  '/\\admin/secret',
  '/admin\\secret',
  '/x\\..\\admin\\secret',
  '/x/..\\admin/secret',
  '/%5cadmin/secret',
  '/admin%5csecret',
  '/admin%5Csecret',
  '/x/..%5cadmin/secret',
  '/x%5c..%5cadmin%5csecret',
  '/admin%255csecret',
  '/%c0%afadmin/secret',
  '/admin%c0%afsecret',
  '/x/%c0%ae%c0%ae/admin/secret',
  '/admin%ef%bc%8fsecret',
  '/%u002fadmin/secret',
  '/%e0%80%afadmin/secret',
  '/%f0%80%80%afadmin/secret',
  '/admin%e2%88%95secret',
  '/x%2f%2e%2e%2fadmin/secret',
  '/;%2f..%2fadmin/secret',
  '/%5c%2e%2e%5cadmin/secret',
] as const;

const LETTERS = [
  '/%61dmin/secret',
  '/%61%64%6d%69%6e/secret',
  '/a%64min/secret',
  '/admi%6e/secret',
  '/%2561dmin/secret',
  '/%25%36%31dmin/secret',
  '/%%361dmin/secret',
  '/%u0061dmin/secret',
  '/%c1%a1dmin/secret',
  '/admin%00/secret',
  '/admin%00.css',
  '/admin%20/secret',
  '/admin%09/secret',
  '/admin%0a/secret',
  '/admin%0d%0a/secret',
  '/admin./secret',
  '/admin%2e/secret',
  '/admin%a0/secret',
  '/%ef%bd%81dmin/secret',
  '/%EF%BC%A1dmin/secret',
  '/%c4%b1/../admin/secret',
  '/admin%7f/secret',
] as const;

const ENDINGS = [
  '/admin',
  '/admin/',
  '/admin?x=1',
  '/admin/?/../x',
  '/admin#fragment',
  '/admin/secret#fragment',
  '/x#/../admin/secret',
  '/admin;x=1/secret',
  '/admin;/secret',
  '/admin/;/secret',
  '/;/admin/secret',
  '/;x=1/admin/secret',
  '/admin%3b/secret',
  '/admin%3fx',
  '/admin%23x',
  '/admin/.',
  '/admin/./',
  '/admin/%2e',
  '/admin/x/..',
  '/admin/..;/admin',
  '/admin%20',
  '/admin%09',
  '/admin.',
  '/admin%2e',
  '/admin%2f',
  '/admin%5c',
  '/admin%ff',
  '/admin;',
  '/admin;.css',
  '/admin/;.css',
  '/admin?',
  '/admin??x',
  '/admin?#',
  '/x?/../admin/secret',
] as const;

const ABSOLUTE = [
  'http://any.test/admin/secret',
  'http://any.test//admin/secret',
  'http://any.test/x/../admin/secret',
  'http://any.test/%61dmin/secret',
  'HTTP://ANY.TEST/admin/secret',
  'http://any.test/x/%2e%2e/admin/secret',
  'http://any.test\\admin/secret',
  'http://any.test:80/admin/secret',
  'http://any.test/./admin/secret',
  'http://any.test/x/..;/admin/secret',
  'http://any.test/%2fadmin/secret',
  'http://other.test/admin/secret',
  'http:/admin/secret',
  'http:admin/secret',
] as const;

export const SPELLINGS: readonly string[] = [...DOT_SEGMENTS, ...SLASHES, ...LETTERS, ...ENDINGS, ...ABSOLUTE];

/** The plain spellings of SPELLINGS: these must reach the guarded route, or the guard proves nothing. */
export const PLAIN: readonly string[] = ['/admin', '/admin/', '/admin?x=1', 'http://any.test/admin/secret'];

/** Whether a service that takes the target as it is serves the guarded path. */
export function isGuarded(target: string): boolean {
  return isGuardedPath(target.split('?')[0]!);
}

export function isGuardedPath(path: string): boolean {
  return /^\/admin(?:\/|$)/.test(path);
}

/**
 * The target as a service may read it that tidies once: parameters off, one decoding, C's end of a string, Windows'
 * separators, empty and dot segments resolved. Upper case and white space are left as they are: they name other paths.
 */
export function readOnce(target: string): string {
  const path = target.split(/[?#]/)[0]!.replace(/^[a-z]+:\/\/[^/\\]*/i, '');
  const decoded = path
    .replace(/;[^/]*/g, '')
    .replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
  const resolved: string[] = [];
  for (const segment of decoded.split('\0')[0]!.replaceAll('\\', '/').split('/')) {
    if (segment === '..') resolved.pop();
    else if (segment !== '' && segment !== '.') resolved.push(segment);
  }
  return `/${resolved.join('/')}`;
}
