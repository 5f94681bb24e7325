/**
 * Heads of HTTP/2 requests, each with what must become of it (F59; RFC 9113 §8.2, §8.3). Behind the gateway HTTP/1.1 is
 * spoken, where a line end in a value is a new field, and a space in a path another version. Sources: h2spec, and the
 * public work on smuggling by way of HTTP/2 (Kettle 2021).
 */
import type { Fields } from '../support/h2-frames.ts';

export interface HeadCase {
  readonly name: string;
  readonly fields: Fields;
  /** Also good: this field is left out, and what is forwarded is as if it had never been there. */
  readonly orWithout?: string;
}

export const AUTHORITY = 'any.test';
export const METHOD = [':method', 'GET'] as const;
export const SCHEME = [':scheme', 'http'] as const;
export const PATH = [':path', '/t'] as const;
export const HOST = [':authority', AUTHORITY] as const;

type Field = readonly [name: string, value: string];

/** A whole head for this path. */
export const get = (path: string, ...more: Field[]): Fields => [METHOD, SCHEME, [':path', path], HOST, ...more];
export const post = (path: string, ...more: Field[]): Fields => [
  [':method', 'POST'],
  SCHEME,
  [':path', path],
  HOST,
  ...more,
];

const EVIL = 'x\r\nevil: evil';
const cases = (table: Readonly<Record<string, Fields>>): HeadCase[] =>
  Object.entries(table).map(([name, fields]) => ({ name, fields }));
const withField = (table: Readonly<Record<string, Field>>): HeadCase[] =>
  Object.entries(table).map(([name, field]) => ({ name, fields: get('/t', field) }));
/** RFC 9113 §8.2.1 calls the request malformed; Node’s parser leaves such a field out, and nobody behind it can know. */
const orLeftOut = (table: Readonly<Record<string, Field>>): HeadCase[] =>
  Object.entries(table).map(([name, field]) => ({ name, fields: get('/t', field), orWithout: field[0] }));

/** Each is refused, by whatever means, and nothing of it reaches the upstream. */
export const REFUSED_HEADS: readonly HeadCase[] = [
  // --- pseudo fields ---
  ...cases({
    'no method': [SCHEME, PATH, HOST],
    'no scheme': [METHOD, PATH, HOST],
    'no path': [METHOD, SCHEME, HOST],
    'no authority and no host': [METHOD, SCHEME, PATH],
    'two methods': get('/t', [':method', 'POST']),
    'two schemes': get('/t', [':scheme', 'https']),
    'two paths': get('/t', [':path', '/evil']),
    'two authorities': get('/t', [':authority', 'evil.test']),
    'two equal authorities': get('/t', HOST),
    'an unknown pseudo field': get('/t', [':evil', 'x']),
    'a nameless pseudo field': get('/t', [':', 'x']),
    'a status': get('/t', [':status', '200']),
    'a protocol without CONNECT': get('/t', [':protocol', 'websocket']),
    'a path behind a field': [METHOD, SCHEME, HOST, ['x-a', '1'], PATH],
    'an authority behind a field': [METHOD, SCHEME, PATH, ['x-a', '1'], HOST],
    'a method in upper case': [[':METHOD', 'GET'], SCHEME, PATH, HOST],
    'nothing at all': [],
  }),
  // --- the method ---
  ...cases({
    'an empty method': [[':method', ''], SCHEME, PATH, HOST],
    'a method with a request line': [[':method', 'GET /evil HTTP/1.1\r\nevil: evil\r\n\r\nGET'], SCHEME, PATH, HOST],
    'a method with a space': [[':method', 'GET /evil'], SCHEME, PATH, HOST],
    'a method with a tab': [[':method', 'GET\t'], SCHEME, PATH, HOST],
    'a method in lower case': [[':method', 'get'], SCHEME, PATH, HOST],
    'an unknown method': [[':method', 'EVIL'], SCHEME, PATH, HOST],
    CONNECT: [
      [':method', 'CONNECT'],
      [':authority', 'evil.test:443'],
    ],
    'CONNECT with a path': [[':method', 'CONNECT'], SCHEME, PATH, HOST],
    'CONNECT for an unknown protocol': [[':method', 'CONNECT'], [':protocol', 'evil'], SCHEME, PATH, HOST],
    TRACE: [[':method', 'TRACE'], SCHEME, PATH, HOST],
    'the method of the preface': [[':method', 'PRI'], SCHEME, [':path', '*'], HOST],
  }),
  // --- the scheme ---
  ...cases({
    'an empty scheme': [METHOD, [':scheme', ''], PATH, HOST],
    'an unknown scheme': [METHOD, [':scheme', 'ftp'], PATH, HOST],
    'a scheme with a host and a path': [METHOD, [':scheme', 'http://evil.test/?x='], PATH, HOST],
    'a scheme with a line end': [METHOD, [':scheme', `http${EVIL}`], PATH, HOST],
  }),
  // --- the path ---
  ...cases({
    'an empty path': get(''),
    'a path without a slash': get('t'),
    'a star with GET': get('*'),
    'an absolute URL as the path': get('http://evil.test/t'),
    'an https URL as the path': get('https://evil.test/t'),
    'an authority as the path': get('@evil.test/t'),
    'a path with a space': get('/t x'),
    'a path with a version': get('/t HTTP/1.1'),
    'a path with a request': get('/t HTTP/1.1\r\nevil: evil\r\n\r\n'),
    'a path with CR': get('/t\rx'),
    'a path with LF': get('/t\nx'),
    'a path with NUL': get('/t\0x'),
    'a path with a control byte': get('/t\x01'),
    'a path with a tab': get('/t\tx'),
    'a path with DEL': get('/t\x7f'),
    'a path with half a character': get('/t\xe9'),
    'a path with a fragment': get('/t#evil'),
    'a query with a fragment': get('/t?a=b#evil'),
    'a query with a space': get('/t?a= b'),
    'a path with a backslash': get('/t\\..\\evil'),
    'a path that climbs': get('/../evil'),
    'a path with an encoded NUL': get('/t%00'),
    'a path with an encoded slash': get('/t%2fevil'),
    'a path with a bad escape': get('/t%zz'),
    'a path of 9 KiB': get(`/${'t'.repeat(9 * 1024)}`),
  }),
  // --- the authority ---
  ...cases({
    'an empty authority': [METHOD, SCHEME, PATH, [':authority', '']],
    'an authority with userinfo': [METHOD, SCHEME, PATH, [':authority', 'evil@any.test']],
    'an authority with a path': [METHOD, SCHEME, PATH, [':authority', 'any.test/evil']],
    'an authority with a space': [METHOD, SCHEME, PATH, [':authority', 'any.test evil']],
    'an authority with a line end': [METHOD, SCHEME, PATH, [':authority', `any.test${EVIL}`]],
    'an authority with NUL': [METHOD, SCHEME, PATH, [':authority', 'any.test\0']],
    'an authority with a bad port': [METHOD, SCHEME, PATH, [':authority', 'any.test:evil']],
    'an authority with two ports': [METHOD, SCHEME, PATH, [':authority', 'any.test:80:80']],
    'an authority that is a list': [METHOD, SCHEME, PATH, [':authority', 'any.test, evil.test']],
    'an authority with a fragment': [METHOD, SCHEME, PATH, [':authority', 'any.test#evil']],
    'a host that is another': get('/t', ['host', 'evil.test']),
    'a host with another port': get('/t', ['host', 'any.test:81']),
    'an empty host beside an authority': get('/t', ['host', '']),
    'two hosts': [METHOD, SCHEME, PATH, ['host', AUTHORITY], ['host', 'evil.test']],
  }),
  // --- fields of one connection of HTTP/1.1 (§8.2.2) ---
  ...withField({
    'transfer-encoding': ['transfer-encoding', 'chunked'],
    'transfer-encoding: identity': ['transfer-encoding', 'identity'],
    connection: ['connection', 'close'],
    'connection that names authority': ['connection', 'host'],
    'keep-alive': ['keep-alive', 'timeout=5'],
    'proxy-connection': ['proxy-connection', 'keep-alive'],
    upgrade: ['upgrade', 'websocket'],
    'upgrade: h2c': ['upgrade', 'h2c'],
    'te other than trailers': ['te', 'gzip'],
    'te: trailers and more': ['te', 'trailers, chunked'],
  }),
  // --- names ---
  ...withField({
    'a name in upper case': ['X-Evil', 'x'],
    'a transfer-encoding in upper case': ['Transfer-Encoding', 'chunked'],
    'a name with one letter in upper case': ['x-eviL', 'x'],
    'a twin of content-length': ['content_length', '3'],
    'a twin of transfer-encoding': ['transfer_encoding', 'chunked'],
  }),
  ...orLeftOut({
    'an empty name': ['', 'evil'],
    'a name with a colon': ['evil:x', 'x'],
    'a name with a colon, as a field line': ['transfer-encoding: chunked\r\nevil', 'x'],
    'a name with a space': ['evil x', 'x'],
    'a name with a space at its end': ['transfer-encoding ', 'chunked'],
    'a name with a tab': ['evil\t', 'x'],
    'a name with CR and LF': [`evil: x\r\nx-evil`, 'x'],
    'a name with LF': ['evil\nx', 'x'],
    'a name with NUL': ['evil\0', 'x'],
    'a name that is not ASCII': ['evil\xe9', 'x'],
    'a name with DEL': ['evil\x7f', 'x'],
    'a name in quotes': ['"evil"', 'x'],
  }),
  // --- values ---
  ...orLeftOut({
    'a value with CR and LF': ['x-evil', EVIL],
    'a value with a whole request': ['x-evil', 'x\r\n\r\nGET /evil HTTP/1.1\r\nhost: any.test\r\n\r\n'],
    'a value with CR': ['x-evil', 'x\revil: evil'],
    'a value with LF': ['x-evil', 'x\nevil: evil'],
    'a value with NUL': ['x-evil', 'x\0'],
    'a value with a bell': ['x-evil', 'x\x07'],
    'a value with DEL': ['x-evil', 'x\x7f'],
    'a value with a space in front': ['x-evil', ' x'],
    'a value with a tab behind': ['x-evil', 'x\t'],
    'a cookie with CR and LF': ['cookie', `evil=${EVIL}`],
    'a host with CR and LF': ['host', `any.test${EVIL}`],
    'a referer with CR and LF': ['referer', `http://evil.test/${EVIL}`],
    'a user-agent with NUL': ['user-agent', 'evil\0'],
  }),
  // --- lengths ---
  ...withField({
    'two content-lengths': ['content-length', '0, 0'],
    'a signed content-length': ['content-length', '+0'],
    'an empty content-length': ['content-length', ''],
    'a content-length in hex': ['content-length', '0x0'],
    'a negative content-length': ['content-length', '-1'],
    'a content-length beyond all numbers': ['content-length', '18446744073709551616'],
    'a content-length with a line end': ['content-length', `0${EVIL}`],
  }),
  { name: 'a content-length twice', fields: get('/t', ['content-length', '0'], ['content-length', '3']) },
  // --- sizes ---
  { name: '130 fields', fields: get('/t', ...Array.from({ length: 130 }, (_, at) => [`x-${at}`, 'x'] as const)) },
  { name: '105 fields', fields: get('/t', ...Array.from({ length: 105 }, (_, at) => [`x-${at}`, 'x'] as const)) },
  { name: '2000 fields', fields: get('/t', ...Array.from({ length: 2000 }, () => ['a', ''] as const)) },
  { name: 'fields of 18 KiB', fields: get('/t', ['x-a', 'x'.repeat(9_000)], ['x-b', 'x'.repeat(9_000)]) },
  { name: 'a field of 100 KB', fields: get('/t', ['x-a', 'x'.repeat(100_000)]) },
];

/** What is unusual and good: it arrives once, with these fields. */
export const GOOD_HEADS: readonly (HeadCase & { readonly arrives: readonly string[] })[] = [
  { name: 'a host and no authority', fields: [METHOD, SCHEME, PATH, ['host', AUTHORITY]], arrives: ['any.test'] },
  { name: 'the same host beside the authority', fields: get('/t', ['host', AUTHORITY]), arrives: ['any.test'] },
  { name: 'pseudo fields in another order', fields: [HOST, PATH, SCHEME, METHOD], arrives: ['any.test'] },
  { name: 'te: trailers', fields: get('/t', ['te', 'trailers']), arrives: [] },
  { name: 'an empty value', fields: get('/t', ['x-a', '']), arrives: ['x-a', ''] },
  { name: 'tabs and high bytes in a value', fields: get('/t', ['x-a', 'a\tb\xe9']), arrives: ['a\tb\xe9'] },
  { name: 'a repeated field', fields: get('/t', ['x-a', '1'], ['x-a', '2']), arrives: ['1', '2'] },
  {
    name: 'pieces of a cookie, which are one',
    fields: get('/t', ['cookie', 'a=1'], ['cookie', 'b=2']),
    arrives: ['a=1; b=2'],
  },
  { name: '__proto__ as a field', fields: get('/t', ['__proto__', 'x'], ['constructor', 'y']), arrives: ['y'] },
  { name: 'a path with a long query', fields: get(`/t?${'q'.repeat(7_000)}`), arrives: [] },
  { name: 'a GET with a length of 0', fields: get('/t', ['content-length', '0']), arrives: [] },
];
