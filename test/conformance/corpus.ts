/**
 * Requests as bytes, each with what must become of it. A wrong one is refused with `connection: close` and nothing of it
 * reaches the upstream; what is merely unusual is forwarded, and arrives as exactly one request. Sources: RFC 9110 and
 * 9112, and the public collections of request smuggling (Http11Probe, http-garden, llhttp’s vectors).
 */

export type Expectation =
  /** One of these statuses, then the close; the upstream saw nothing. */
  | { readonly kind: 'refused'; readonly statuses: readonly number[] }
  /** The head was good, the body is not: one of these statuses or a bare close; the upstream saw no whole request. */
  | { readonly kind: 'cut'; readonly statuses: readonly number[] }
  /** Every one of these reached the upstream, in this order, and nothing else: method, target, body. */
  | { readonly kind: 'forwarded'; readonly as: readonly (readonly [method: string, target: string, body: string])[] }
  /** Forwarded with this body, or refused: both are safe, as long as the connection stays in step. */
  | { readonly kind: 'either'; readonly statuses: readonly number[]; readonly as: readonly [string, string, string] };

export interface Case {
  readonly name: string;
  readonly bytes: string;
  readonly expect: Expectation;
  /** Methods of the requests, where an answer to HEAD must be read. */
  readonly methods?: readonly string[];
}

const HOST = 'Host: any.test';
const EMBEDDED = 'GET /smuggled HTTP/1.1\r\nHost: any.test\r\n\r\n';

const head = (...lines: string[]) => [...lines, '', ''].join('\r\n');
const get = (...fields: string[]) => head('GET /t HTTP/1.1', HOST, ...fields);
const post = (fields: readonly string[], body: string) => head('POST /t HTTP/1.1', HOST, ...fields) + body;
const chunked = (body: string, coding = 'Transfer-Encoding: chunked') => post([coding], body);

const refused = (...statuses: number[]): Expectation => ({ kind: 'refused', statuses });
const cut = (...statuses: number[]): Expectation => ({ kind: 'cut', statuses });
const forwarded = (...as: [string, string, string][]): Expectation => ({ kind: 'forwarded', as });
const BAD = refused(400);
const BAD_CODING = refused(400, 501);

/** @param table name → bytes; all with the same expectation. */
const all = (expect: Expectation, table: Readonly<Record<string, string>>): Case[] =>
  Object.entries(table).map(([name, bytes]) => ({ name, bytes, expect }));

/** F1–F4: which bytes are the body. RFC 9112 §6. */
const BODY_LENGTH: Case[] = [
  ...all(BAD, {
    'content-length before transfer-encoding': post(['Content-Length: 5', 'Transfer-Encoding: chunked'], '0\r\n\r\n'),
    'transfer-encoding before content-length': post(['Transfer-Encoding: chunked', 'Content-Length: 5'], '0\r\n\r\n'),
    'CL.TE with an embedded request': post(
      [`Content-Length: ${5 + EMBEDDED.length}`, 'Transfer-Encoding: chunked'],
      `0\r\n\r\n${EMBEDDED}`,
    ),
    'TE.CL with an embedded request': post(
      ['Content-Length: 4', 'Transfer-Encoding: chunked'],
      `${EMBEDDED.length.toString(16)}\r\n${EMBEDDED}\r\n0\r\n\r\n`,
    ),
    'content-length 0 with chunked': post(['Content-Length: 0', 'Transfer-Encoding: chunked'], '0\r\n\r\n'),
    'two different content-lengths': post(['Content-Length: 5', 'Content-Length: 6'], 'hello!'),
    'two equal content-lengths': post(['Content-Length: 5', 'Content-Length: 5'], 'hello'),
    'a list of content-lengths': post(['Content-Length: 5, 5'], 'hello'),
    'a plus before the length': post(['Content-Length: +5'], 'hello'),
    'a negative length': post(['Content-Length: -5'], 'hello'),
    'a hexadecimal length': post(['Content-Length: 0x5'], 'hello'),
    'an empty length': post(['Content-Length: '], ''),
    'a length with a space inside': post(['Content-Length: 5 5'], 'hello'),
    'a length with letters': post(['Content-Length: 5a'], 'hello'),
    'a length with an underscore': post(['Content-Length: 1_0'], 'hellohello'),
    'a fractional length': post(['Content-Length: 5.0'], 'hello'),
    'a quoted length': post(['Content-Length: "5"'], 'hello'),
    'a length beyond 64 bits': post(['Content-Length: 99999999999999999999'], 'hello'),
    'a length with a tab inside': post(['Content-Length: 5\t5'], 'hello'),
    'a length folded onto the next line': post(['Content-Length:', ' 5'], 'hello'),
    'a space before the colon of content-length': post(['Content-Length : 5'], 'hello'),
  }),
  ...all(BAD_CODING, {
    'transfer-encoding folded': post(['Transfer-Encoding:', ' chunked'], '0\r\n\r\n'),
    'transfer-encoding twice': post(['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'], '0\r\n\r\n'),
    'transfer-encoding chunked, then identity': post(
      ['Transfer-Encoding: chunked', 'Transfer-Encoding: identity'],
      '0\r\n\r\n',
    ),
    'transfer-encoding identity, then chunked': post(
      ['Transfer-Encoding: identity', 'Transfer-Encoding: chunked'],
      '0\r\n\r\n',
    ),
    'chunked, chunked': chunked('0\r\n\r\n', 'Transfer-Encoding: chunked, chunked'),
    'gzip, chunked': chunked('0\r\n\r\n', 'Transfer-Encoding: gzip, chunked'),
    'chunked, identity': chunked('0\r\n\r\n', 'Transfer-Encoding: chunked, identity'),
    identity: chunked('', 'Transfer-Encoding: identity'),
    xchunked: chunked('0\r\n\r\n', 'Transfer-Encoding: xchunked'),
    chunkedx: chunked('0\r\n\r\n', 'Transfer-Encoding: chunkedx'),
    'an empty transfer-encoding': chunked('', 'Transfer-Encoding: '),
    'a comma alone': chunked('0\r\n\r\n', 'Transfer-Encoding: , chunked'),
    'chunked with a parameter': chunked('0\r\n\r\n', 'Transfer-Encoding: chunked;q=1'),
    'chunked in quotes': chunked('0\r\n\r\n', 'Transfer-Encoding: "chunked"'),
    'chunked behind a vertical tab': chunked('0\r\n\r\n', 'Transfer-Encoding: \x0bchunked'),
    'chunked behind a form feed': chunked('0\r\n\r\n', 'Transfer-Encoding: \x0cchunked'),
    'chunked before a NUL': chunked('0\r\n\r\n', 'Transfer-Encoding: chunked\0'),
    'chunked behind a no-break space': chunked('0\r\n\r\n', 'Transfer-Encoding: \xa0chunked'),
    'a space before the colon of transfer-encoding': chunked('0\r\n\r\n', 'Transfer-Encoding : chunked'),
    'chunked in HTTP/1.0': head('POST /t HTTP/1.0', HOST, 'Transfer-Encoding: chunked') + '0\r\n\r\n',
    'chunked in HTTP/1.0 with keep-alive':
      head('POST /t HTTP/1.0', HOST, 'Connection: keep-alive', 'Transfer-Encoding: chunked') + '0\r\n\r\n',
  }),
  {
    name: 'CHUNKED in capitals',
    bytes: chunked('5\r\nhello\r\n0\r\n\r\n', 'Transfer-Encoding: CHUNKED'),
    expect: forwarded(['POST', '/t', 'hello']),
  },
  { name: 'a plain length', bytes: post(['Content-Length: 5'], 'hello'), expect: forwarded(['POST', '/t', 'hello']) },
  {
    name: 'a length with leading zeros',
    bytes: post(['Content-Length: 005'], 'hello'),
    expect: { kind: 'either', statuses: [400], as: ['POST', '/t', 'hello'] },
  },
  { name: 'no length at all', bytes: post([], ''), expect: forwarded(['POST', '/t', '']) },
  { name: 'a length of zero', bytes: post(['Content-Length: 0'], ''), expect: forwarded(['POST', '/t', '']) },
];

/** F5–F8: chunks. RFC 9112 §7.1. */
const CHUNKS: Case[] = [
  ...all(cut(400), {
    'a chunk size with 0x': chunked('0x5\r\nhello\r\n0\r\n\r\n'),
    'a chunk size with a plus': chunked('+5\r\nhello\r\n0\r\n\r\n'),
    'a chunk size with a minus': chunked('-5\r\nhello\r\n0\r\n\r\n'),
    'a chunk size with an underscore': chunked('5_\r\nhello\r\n0\r\n\r\n'),
    'an empty chunk size': chunked('\r\nhello\r\n0\r\n\r\n'),
    'a chunk size behind a space': chunked(' 5\r\nhello\r\n0\r\n\r\n'),
    'a chunk size behind a tab': chunked('\t5\r\nhello\r\n0\r\n\r\n'),
    'a chunk size that is no number': chunked('five\r\nhello\r\n0\r\n\r\n'),
    'a chunk size beyond 64 bits': chunked('10000000000000005\r\nhello\r\n0\r\n\r\n'),
    'a chunk that ends in LF': chunked('5\r\nhello\n0\r\n\r\n'),
    'a chunk that ends in CR': chunked('5\r\nhello\r0\r\n\r\n'),
    'a chunk that ends in junk': chunked('5\r\nhelloXX0\r\n\r\n'),
    'a chunk longer than its size': chunked('5\r\nhello!\r\n0\r\n\r\n'),
    'a chunk-size line that ends in LF': chunked('5\nhello\r\n0\r\n\r\n'),
    'a chunk-size line that ends in CR': chunked('5\rhello\r\n0\r\n\r\n'),
    'a chunk extension with a CR': chunked('5;a\rb\r\nhello\r\n0\r\n\r\n'),
    'a chunk extension with a NUL': chunked('5;a=\0\r\nhello\r\n0\r\n\r\n'),
    'a trailer with a space before its colon': chunked('5\r\nhello\r\n0\r\nX-T : 1\r\n\r\n'),
    'a trailer without a colon': chunked('5\r\nhello\r\n0\r\nX-T\r\n\r\n'),
  }),
  ...all(cut(400, 413, 431), {
    'a chunk extension of 64 KiB': chunked(`5;a=${'x'.repeat(65_536)}\r\nhello\r\n0\r\n\r\n`),
    'trailers of 64 KiB': chunked(`5\r\nhello\r\n0\r\nX-T: ${'x'.repeat(65_536)}\r\n\r\n`),
  }),
  ...all(
    { kind: 'either', statuses: [400], as: ['POST', '/t', 'hello'] },
    { 'a trailer content-length is never merged': chunked('5\r\nhello\r\n0\r\nContent-Length: 50\r\n\r\n') },
  ),
  // Extensions are bounded for each chunk; those of many chunks count as body.
  ...all(
    { kind: 'either', statuses: [400, 413], as: ['POST', '/t', 'h'.repeat(40)] },
    { 'forty chunk extensions of 3 KiB': chunked(`${`1;a=${'x'.repeat(3_072)}\r\nh\r\n`.repeat(40)}0\r\n\r\n`) },
  ),
  ...all(forwarded(['POST', '/t', 'hello']), {
    'one chunk': chunked('5\r\nhello\r\n0\r\n\r\n'),
    'many chunks': chunked('1\r\nh\r\n1\r\ne\r\n3\r\nllo\r\n0\r\n\r\n'),
    'a chunk size with leading zeros': chunked('0005\r\nhello\r\n0\r\n\r\n'),
    'a short chunk extension is dropped': chunked('5;name=value\r\nhello\r\n0\r\n\r\n'),
    'a trailer host is never merged': chunked('5\r\nhello\r\n0\r\nHost: evil.test\r\n\r\n'),
    'a trailer authorization is never merged': chunked('5\r\nhello\r\n0\r\nAuthorization: evil\r\n\r\n'),
    'a trailer x-forwarded-for is never merged': chunked('5\r\nhello\r\n0\r\nX-Forwarded-For: evil\r\n\r\n'),
    'a trailer __proto__ is never merged': chunked('5\r\nhello\r\n0\r\n__proto__: evil\r\n\r\n'),
  }),
];

/** F9, F10: lines and fields. RFC 9112 §2.2, §5; RFC 9110 §5.5. */
const LINES: Case[] = [
  // The parser finds the line end in the version, or the tab in the method.
  ...all(refused(400, 501, 505), {
    'bare LF everywhere': 'GET /t HTTP/1.1\nHost: any.test\n\n',
    'bare LF after the request line': 'GET /t HTTP/1.1\nHost: any.test\r\n\r\n',
    'a tab for a space': head('GET\t/t\tHTTP/1.1', HOST),
  }),
  // RFC 9112 §3: a recipient may take white space for one space; what goes on is written anew.
  ...all(
    { kind: 'either', statuses: [400], as: ['GET', '/t', ''] },
    {
      'two spaces before the target': head('GET  /t HTTP/1.1', HOST),
      'two spaces before the version': head('GET /t  HTTP/1.1', HOST),
    },
  ),
  ...all(BAD, {
    'bare LF after a field': 'GET /t HTTP/1.1\r\nHost: any.test\nX-A: 1\r\n\r\n',
    'bare CR after a field': 'GET /t HTTP/1.1\r\nHost: any.test\rX-A: 1\r\n\r\n',
    'bare CR in a value': get('X-A: a\rb'),
    'CR before the end of the head': 'GET /t HTTP/1.1\r\nHost: any.test\r\n\rX: 1\r\n\r\n',
    'a folded field': get('X-A: a', ' b'),
    'a folded field with a tab': get('X-A: a', '\tb'),
    'a space before the first field': 'GET /t HTTP/1.1\r\n Host: any.test\r\n\r\n',
    'a NUL in a value': get('X-A: a\0b'),
    'a bell in a value': get('X-A: a\x07b'),
    'an escape in a value': get('X-A: a\x1bb'),
    'a DEL in a value': get('X-A: a\x7fb'),
    'a NUL in a name': get('X\0A: 1'),
    'a space in a name': get('X A: 1'),
    'a space before the colon': get('X-A : 1'),
    'a tab before the colon': get('X-A\t: 1'),
    'an empty name': get(': 1'),
    'a field without a colon': get('X-A'),
    'a bracket in a name': get('X[A]: 1'),
    'a quote in a name': get('X"A: 1'),
    'a non-ASCII byte in a name': get('X-\xe9: 1'),
    'a NUL in the target': head('GET /t\0x HTTP/1.1', HOST),
    'a space in the target': head('GET /t x HTTP/1.1', HOST),
    'a non-ASCII byte in the target': head('GET /t\xe9 HTTP/1.1', HOST),
    'a control byte in the target': head('GET /t\x01 HTTP/1.1', HOST),
    'a target without a slash': head('GET t HTTP/1.1', HOST),
    'an empty target': head('GET  HTTP/1.1', HOST),
    'a bad escape in the path': head('GET /%zz HTTP/1.1', HOST),
    'half an escape in the path': head('GET /%4 HTTP/1.1', HOST),
  }),
  { name: 'tabs and high bytes in a value', bytes: get('X-A: a\tb\xe9'), expect: forwarded(['GET', '/t', '']) },
  {
    name: '__proto__ as a field',
    bytes: get('__proto__: x', 'constructor: y', 'toString: z'),
    expect: { kind: 'either', statuses: [400], as: ['GET', '/t', ''] },
  },
  { name: 'an empty value', bytes: get('X-A:'), expect: forwarded(['GET', '/t', '']) },
  {
    name: 'empty lines before the request',
    bytes: `\r\n\r\n${get()}`,
    expect: { kind: 'either', statuses: [400], as: ['GET', '/t', ''] },
  },
];

/** F11–F14: who is asked, in which version, with which method. RFC 9112 §3. */
const REQUEST_LINE: Case[] = [
  ...all(BAD, {
    'no host': 'GET /t HTTP/1.1\r\n\r\n',
    'two hosts': get('Host: other.test'),
    'two equal hosts': get(HOST),
    'an empty host': head('GET /t HTTP/1.1', 'Host:'),
    'a host with a path': head('GET /t HTTP/1.1', 'Host: any.test/x'),
    'a host with userinfo': head('GET /t HTTP/1.1', 'Host: user@any.test'),
    'a host with a space': head('GET /t HTTP/1.1', 'Host: any test'),
    'a host list': head('GET /t HTTP/1.1', 'Host: any.test, other.test'),
    'a host with two ports': head('GET /t HTTP/1.1', 'Host: any.test:80:80'),
    'a host with a bad port': head('GET /t HTTP/1.1', 'Host: any.test:8x'),
    'a host with a port beyond 65535': head('GET /t HTTP/1.1', 'Host: any.test:99999'),
    'a host with a query': head('GET /t HTTP/1.1', 'Host: any.test?x'),
    'a host with a fragment': head('GET /t HTTP/1.1', 'Host: any.test#x'),
    'a host with a backslash': head('GET /t HTTP/1.1', 'Host: any.test\\x'),
    'a host with an open bracket': head('GET /t HTTP/1.1', 'Host: [::1'),
    'a host with a scheme': head('GET /t HTTP/1.1', 'Host: http://any.test'),
    'a host with a tab': head('GET /t HTTP/1.1', 'Host: any\ttest'),
    'an absolute target without a host field': 'GET http://any.test/t HTTP/1.1\r\n\r\n',
    'an absolute target with userinfo': head('GET http://user@any.test/t HTTP/1.1', HOST),
    'an absolute target with no authority': head('GET http:///t HTTP/1.1', HOST),
    'an absolute target of a foreign scheme': head('GET ftp://any.test/t HTTP/1.1', HOST),
    'an asterisk for a GET': head('GET * HTTP/1.1', HOST),
    'an authority for a GET': head('GET any.test:80 HTTP/1.1', HOST),
  }),
  ...all(refused(400, 505), {
    'HTTP/0.9': 'GET /t\r\n\r\n',
    'HTTP/2.0': head('GET /t HTTP/2.0', HOST),
    'HTTP/9.9': head('GET /t HTTP/9.9', HOST),
    'HTTP/1.32': head('GET /t HTTP/1.32', HOST),
    'HTTP/1.2': head('GET /t HTTP/1.2', HOST),
    'HTTP/1': head('GET /t HTTP/1', HOST),
    'http/1.1 in lower case': head('GET /t http/1.1', HOST),
    'no version': head('GET /t ', HOST),
    'HTTPS/1.1': head('GET /t HTTPS/1.1', HOST),
    'the HTTP/2 preface': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  }),
  ...all(refused(400, 405, 501), {
    CONNECT: head('CONNECT any.test:443 HTTP/1.1', HOST),
    'CONNECT with a path': head('CONNECT /t HTTP/1.1', HOST),
    'an unknown method': head('FROBNICATE /t HTTP/1.1', HOST),
    'a method in lower case': head('get /t HTTP/1.1', HOST),
    'a method of 100 KB': head(`${'G'.repeat(100_000)} /t HTTP/1.1`, HOST),
    'an empty method': head(' /t HTTP/1.1', HOST),
    'a method with a slash': head('GE/T /t HTTP/1.1', HOST),
    'a TLS handshake on a plain port': '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03random bytes that follow',
  }),
  ...all(refused(400, 414, 431), {
    'a target of 9 KiB': head(`GET /${'t'.repeat(9 * 1024)} HTTP/1.1`, HOST),
    'a target of 100 KB': head(`GET /${'t'.repeat(100_000)} HTTP/1.1`, HOST),
  }),
  ...all(refused(431), {
    'a field of 100 KB': get(`X-A: ${'x'.repeat(100_000)}`),
    'a field name of 100 KB': get(`${'x'.repeat(100_000)}: 1`),
    'the 101st field': get(...Array.from({ length: 100 }, (_, at) => `X-${at}: 1`)),
    '2001 fields': get(...Array.from({ length: 2_000 }, (_, at) => `X-${at}: 1`)),
    'fields that are together over 16 KiB': get(
      ...Array.from({ length: 20 }, (_, at) => `X-${at}: ${'x'.repeat(1_000)}`),
    ),
  }),
  {
    name: 'an absolute target',
    bytes: head('GET http://any.test/t HTTP/1.1', HOST),
    expect: forwarded(['GET', '/t', '']),
  },
  {
    name: 'an absolute target without a path',
    bytes: head('GET http://any.test HTTP/1.1', HOST),
    expect: forwarded(['GET', '/', '']),
  },
  {
    name: 'an absolute target with a query alone',
    bytes: head('GET http://any.test?q=1 HTTP/1.1', HOST),
    expect: forwarded(['GET', '/?q=1', '']),
  },
  {
    name: 'a host in capitals, with a dot and a port',
    bytes: head('GET /t HTTP/1.1', 'Host: ANY.test.:8080'),
    expect: forwarded(['GET', '/t', '']),
  },
  {
    name: 'an address as host',
    bytes: head('GET /t HTTP/1.1', 'Host: 127.0.0.1:8080'),
    expect: forwarded(['GET', '/t', '']),
  },
  {
    name: 'an IPv6 address as host',
    bytes: head('GET /t HTTP/1.1', 'Host: [::1]:8080'),
    expect: forwarded(['GET', '/t', '']),
  },
  { name: 'HTTP/1.0 with a host', bytes: head('GET /t HTTP/1.0', HOST), expect: forwarded(['GET', '/t', '']) },
  {
    name: '100 fields',
    bytes: get(...Array.from({ length: 99 }, (_, at) => `X-${at}: 1`)),
    expect: forwarded(['GET', '/t', '']),
  },
  {
    name: 'a target of 8000 bytes',
    bytes: head(`GET /${'t'.repeat(7_999)} HTTP/1.1`, HOST),
    expect: forwarded(['GET', `/${'t'.repeat(7_999)}`, '']),
  },
];

/** F15, F16: methods that seldom have a body, and several requests in one packet. */
const IN_STEP: Case[] = [
  ...['GET', 'DELETE', 'OPTIONS', 'PATCH', 'PUT', 'QUERY'].map((method): Case => ({
    name: `${method} whose body is a request`,
    bytes: head(`${method} /t HTTP/1.1`, HOST, `Content-Length: ${EMBEDDED.length}`) + EMBEDDED,
    expect: { kind: 'either', statuses: [400, 405, 411, 413, 501], as: [method, '/t', EMBEDDED] },
  })),
  {
    name: 'HEAD whose body is a request',
    bytes: head('HEAD /t HTTP/1.1', HOST, `Content-Length: ${EMBEDDED.length}`) + EMBEDDED,
    methods: ['HEAD'],
    expect: { kind: 'either', statuses: [400, 405, 411, 413, 501], as: ['HEAD', '/t', EMBEDDED] },
  },
  {
    name: 'a chunked GET whose body is a request',
    bytes: get('Transfer-Encoding: chunked') + `${EMBEDDED.length.toString(16)}\r\n${EMBEDDED}\r\n0\r\n\r\n`,
    expect: { kind: 'either', statuses: [400, 411, 413, 501], as: ['GET', '/t', EMBEDDED] },
  },
  {
    name: 'a pipelined pair',
    bytes: head('GET /1 HTTP/1.1', HOST) + head('GET /2 HTTP/1.1', HOST),
    expect: forwarded(['GET', '/1', ''], ['GET', '/2', '']),
  },
  {
    name: 'a pipelined pair with bodies',
    bytes: post(['Content-Length: 3'], 'one') + chunked('3\r\ntwo\r\n0\r\n\r\n'),
    expect: forwarded(['POST', '/t', 'one'], ['POST', '/t', 'two']),
  },
  {
    name: 'a hundred pipelined requests',
    bytes: Array.from({ length: 100 }, (_, at) => head(`GET /${at} HTTP/1.1`, HOST)).join(''),
    expect: forwarded(...Array.from({ length: 100 }, (_, at): [string, string, string] => ['GET', `/${at}`, ''])),
  },
  {
    name: 'what stands behind connection: close is ignored',
    bytes: head('GET /1 HTTP/1.1', HOST, 'Connection: close') + head('GET /2 HTTP/1.1', HOST),
    expect: forwarded(['GET', '/1', '']),
  },
  {
    name: 'what stands behind HTTP/1.0 is ignored',
    bytes: head('GET /1 HTTP/1.0', HOST) + head('GET /2 HTTP/1.0', HOST),
    expect: forwarded(['GET', '/1', '']),
  },
];

export const CORPUS: readonly Case[] = [...BODY_LENGTH, ...CHUNKS, ...LINES, ...REQUEST_LINE, ...IN_STEP];
