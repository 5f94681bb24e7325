/**
 * The 158 cases by which AWS's http-desync-guardian (Apache-2.0) tells its four tiers apart, written anew as bytes. A
 * severe request must be refused with the close; an ambiguous one refused, or forwarded so that nobody reads it in
 * another way; the others may be forwarded. In all of them what stands behind the head, or inside the body, is a request
 * of its own that must never reach the upstream as one.
 */

export type Tier = 'compliant' | 'acceptable' | 'ambiguous' | 'severe';

export interface DesyncCase {
  readonly tier: Tier;
  readonly name: string;
  readonly method: string;
  readonly bytes: string;
}

type Row = readonly [name: string, line: string, ...fields: string[]];

const EMBEDDED = 'GET /smuggled HTTP/1.1\r\nHost: any.test\r\n\r\n';
const P = 'POST /t HTTP/1.1';
const CL = 'Content-Length: {length}';
const TE = 'Transfer-Encoding: chunked';
const ODD = 'X-Odd: 1\x01';

const ACCEPTABLE: readonly Row[] = [
  ['space behind an ordinary name', 'PUT /t HTTP/1.1', 'X-Odd : 1', 'X-Second: 1'],
  ['space behind an ordinary name, chunked', 'PUT /t HTTP/1.1', 'X-Odd : 1', TE],
  ['0x01 before an ordinary name', 'PUT /t HTTP/1.1', '\x01X-Odd: 1', TE],
  ['space behind an ordinary name, length', 'PUT /t HTTP/1.1', 'X-Odd : 1', CL],
  ['GET with length 0', 'GET /t HTTP/1.1', 'Content-Length: 0'],
  ['HEAD with length 0', 'HEAD /t HTTP/1.1', 'Content-Length: 0'],
  ['HTTP/0.9 with fields', 'GET /t HTTP/0.9', 'X-A: 1'],
  ['no version with fields', 'GET /t ', 'X-A: 1'],
  ['HTTP/1.2', 'GET /t HTTP/1.2', 'X-A: 1'],
  ['0x01 behind an ordinary name', P, 'X-Odd\x01: 1', TE],
  ['0x01 before an ordinary name, POST', P, '\x01X-Odd: 1', TE],
  ['0x01 before an ordinary value', P, 'X-Odd: \x011', TE],
  ['0x01 behind an ordinary value', P, ODD, TE],
  ['space behind the version', 'GET /t HTTP/1.1 ', 'X-A: 1'],
  ['spaces in the query', 'GET /t?q=not escaped spaces HTTP/1.1', 'X-A: 1'],
];

const AMBIGUOUS: readonly Row[] = [
  ['space behind transfer-encoding', P, 'Transfer-Encoding : chunked'],
  ['tab behind transfer-encoding', P, 'Transfer-Encoding\t: chunked'],
  ['0x01 before transfer-encoding', P, '\x01Transfer-Encoding: chunked'],
  ['0x01 twice before transfer-encoding', P, '\x01\x01Transfer-Encoding: chunked'],
  ['0x01 twice before content-length', P, '\x01\x01Content-Length: 1'],
  ['0x01 before content-length', P, '\x01Content-Length: 1'],
  ['space inside transfer-encoding', P, 'Transfer- Encoding: chunked'],
  ['transfer_encoding', P, 'Transfer_Encoding: chunked'],
  ['content_length', P, 'Content_Length: 1000'],
  ['two equal lengths', 'PUT /t HTTP/1.1', CL, CL],
  ['chunked and a length', P, TE, CL],
  ['gzip and a length', P, 'Transfer-Encoding: gzip', CL],
  ['GET with a length', 'GET /t HTTP/1.1', CL],
  ['GET in chunks', 'GET /t HTTP/1.1', TE],
  ['HEAD with a length', 'HEAD /t HTTP/1.1', CL],
  ['HEAD in chunks', 'HEAD /t HTTP/1.1', TE],
  ['space behind transfer-encoding, and a length', P, 'Transfer-Encoding : chunked', CL],
  ['space before transfer-encoding, and a length', P, ' Transfer-Encoding: chunked', CL],
  ['space before both', P, ' Transfer-Encoding: chunked', ` ${CL}`],
  ['space behind both', P, 'Transfer-Encoding : chunked', 'Content-Length : {length}'],
  ['an empty name', P, ': chunked', CL],
  ['a name that begins with a colon', P, ':X-Odd:Transfer-Encoding:: chunked', CL],
  ['a name of blanks', P, '   \t\t  : chunked', CL],
  ['chunked in HTTP/1.0', 'POST /t HTTP/1.0', TE],
  ['chunked in HTTP/0.9', 'POST /t HTTP/0.9', TE],
  ['a length in HTTP/0.9', 'POST /t HTTP/0.9', CL],
  ['chunked without a version', 'POST /t ', TE],
  ['a length without a version', 'POST /t ', CL],
  ['transfer-encoding with a long s', P, 'Tran\xc5\xbffer-Encoding: chunked'],
  ['transfer-encoding with a dotless i', P, 'Transfer-Encod\xc4\xb1ng: chunked'],
  ['transfer---encoding', P, 'Transfer---Encoding: chunked'],
  ['transfer___encoding', P, 'Transfer___Encoding: chunked'],
  ['a wide space before transfer-encoding', P, '\xe2\x80\x83Transfer-Encoding: chunked'],
  ['a wide space behind content-length', P, 'Content-Length\xe2\x80\x83: {length}'],
  ['a wide dash in transfer-encoding', P, 'Transfer\xe2\x80\x95Encoding: chunked'],
  ['0x88 behind transfer-encoding', P, 'Transfer-Encoding\x88: chunked'],
  ['0xa0 before content-length', P, '\xa0Content-Length: 100'],
  ['0x01 before transfer-encoding, behind another field', P, 'X-A: 1', '\x01Transfer-Encoding: chunked'],
  ['0x01 behind transfer-encoding', P, 'X-A: 1', 'Transfer-Encoding\x01: chunked'],
  ['0x01 before content-length, behind another field', P, 'X-A: 1', '\x01Content-Length: 1000'],
  ['0x01 behind content-length', P, 'X-A: 1', 'Content-Length\x01: 1000'],
  ['an odd field does not hide a chunked GET', 'GET /t HTTP/1.1', ODD, TE],
  ['an odd field does not hide a HEAD with a length', 'HEAD /t HTTP/1.1', ODD, CL],
  ['a tab in the target does not hide a GET with a length', 'GET /t\t/b HTTP/1.1', ODD, CL],
  ['a tab for the space before the version', 'GET /t\tHTTP/1.1 HTTP/1.1', 'X-A: 1'],
  ['0x01 in the target', 'GET /t\x01HTTP/1.1 HTTP/1.1', 'X-A: 1'],
  ['a browser’s GET with a length', 'GET /t HTTP/1.1', 'Connection: keep-alive', 'Content-Length:  {length}'],
  ['a browser’s chunked GET', 'GET /t HTTP/1.1', 'Connection: keep-alive', 'Transfer-Encoding:  chunked'],
  ['a browser’s chunks in HTTP/1.0', 'POST /t HTTP/1.0', 'Connection: keep-alive', TE],
  ['a browser’s two equal lengths', P, 'Connection: keep-alive', CL, CL],
  ['a length before chunked', P, 'Connection: keep-alive', CL, TE],
  ['a tab behind transfer-encoding, and a length', P, 'Transfer-Encoding\t: chunked', CL],
  ['deflate and a length', P, 'Transfer-Encoding: deflate', CL],
  [
    'five codings and a length',
    P,
    ...['gzip', 'deflate', 'identity', 'compress', 'chunked'].map((coding) => `Transfer-Encoding: ${coding}`),
    CL,
  ],
  ['chunked with a parameter and a length', P, 'Transfer-Encoding:  \t\t\t\tchunked;custom_param;\t\t\t\t', CL],
  ['mixed case, and a length', P, 'TrAnSfEr-EnCoDiNg: ChUnKeD', CL],
  ['mixed case, and a length, again', P, 'X-A: 1', 'TrAnSfEr-EnCoDiNg: ChUnKeD', CL],
];

const SEVERE: readonly Row[] = [
  ['two lengths', P, 'Content-Length: 1000', CL],
  ['a list of lengths', P, 'Content-Length: {length},{length}'],
  ['two lengths and a space', P, 'Content-Length: {length} {length}'],
  ['a fraction', P, 'Content-Length: {length}.{length}'],
  ['a length beyond 64 bits', P, 'Content-Length: 18446744073709551616'],
  ['xchunked', P, 'Transfer-Encoding: xchunked'],
  ['chunked and 0x11', P, 'Transfer-Encoding: chunked\x11'],
  ['a length and 0x11', P, 'Content-Length: {length}\x11'],
  ['chunked twice', P, TE, TE],
  ['chunked,chunked', P, 'Transfer-Encoding: chunked,chunked'],
  ['a value over many lines', P, CL, 'X-Odd: over\r\n many \n lines \n Transfer-Encoding: chunked\r\n'],
  ['a value over many lines by LF', P, CL, 'X-Odd: over\n many \n lines \n Transfer-Encoding: chunked'],
  ['CR inside a value', P, CL, 'X-Odd: a\r b\r c'],
  ['LF inside a value', P, CL, 'X-Odd: a\n b\n c'],
  ['CR in a name', P, 'X-Odd\r: 1000'],
  ['LF in a name', P, 'X-Odd\n: Content-Length:1000\r\n Transfer-Encoding: chunked', CL],
  ['NUL in a name', P, 'X-Odd\0: 1000'],
  ['CR before a length in a value', P, 'X-Odd: a\rcontent-length: 1000', CL],
  ['LF before a length in a value', P, 'X-Odd: a\n content-length: 1000', CL],
  ['NUL before a length in a value', P, 'X-Odd: a\0content-length: 1000', CL],
  ['NUL at the start of a line', P, '\0X-Odd: a', CL],
  ['NUL at the start of a value', P, 'X-Odd: \0a', CL],
  ['NUL at the end of a value', P, 'X-Odd: a\0', CL],
  ['a length with a space behind its name, and a length', P, 'Content-Length : 100', CL],
  ['a length behind a space, and a length', P, ' Content-Length: 100', CL],
  ['chunked with a space behind its name, and chunked', P, 'Transfer-Encoding : chunked', TE],
  ['a control byte in the method', 'bad_method\x01 /t HTTP/1.1', 'X-A: 1'],
  ['0x01 before chunked', P, 'Transfer-Encoding: \x01chunked'],
  ['0x01 behind chunked', P, 'Transfer-Encoding: chunked\x01'],
  ['0xa0 before chunked', P, 'Transfer-Encoding: \xa0chunked'],
  ['0xa0 behind chunked', P, 'Transfer-Encoding: chunked\xa0'],
  ['0x01 before a length', P, 'Content-Length: \x01{length}'],
  ['0x01 behind a length', P, 'Content-Length: {length}\x01'],
  ['0xa0 behind a length', P, 'Content-Length: {length}\xa0'],
  ['an odd field does not hide a bad length', P, 'X-Odd: 1\x12', 'Content-Length: {length}\x11'],
  ['an odd field does not hide a bad coding', P, 'X-Odd: 1\x11', 'Transfer-Encoding: chunked\x12'],
  ['a tab behind a name does not hide NUL', 'PUT /t HTTP/1.1', 'X-Odd\t: \x11\x12 \0', 'Transfer-Encoding\t: chunked'],
  ['one bad field does not hide others', P, 'X-Odd: \x111', 'Transfer-Encoding: chunked\x12', 'Content-Length: $9000'],
  ['a bad target does not hide bad fields', 'POST /t\t/b HTTP/1.1', 'X-Odd: \x111', TE, 'Content-Length: $9000'],
  ['chunked twice, and a length', P, TE, TE, CL],
  ['NUL in a value, chunked and a length', P, 'X-Odd: a, \0b', TE, CL],
  ['NUL before transfer-encoding, behind a length', P, CL, '\0Transfer-Encoding: chunked'],
  ['chunked behind CR in a value', P, CL, 'X-Odd: x\rTransfer-Encoding: chunked'],
  ['CR before transfer-encoding, and a length', P, '\rTransfer-Encoding: chunked', CL],
  ['CR before transfer-encoding', P, '\rTransfer-Encoding: chunked'],
  ['CR before content-length, and a length', P, '\rContent-Length: 1000', CL],
  ['chunk, and a length', P, 'Transfer-Encoding: chunk', CL],
  ['xchunked, and a length', P, 'Transfer-Encoding: xchunked', CL],
  ['chunked,chunked and a length', P, 'Transfer-Encoding: chunked,chunked', CL],
  ['chunked and cow, and a length', P, TE, 'Transfer-Encoding: cow', CL],
  ['NUL before transfer-encoding, and a length', P, CL, 'X-A: 1', '\0Transfer-Encoding: chunked'],
  ['NUL before chunked, and a length', P, 'Transfer-Encoding: \0chunked', CL],
  ['a second version', 'GET /t HTTP/1.1 HTTP/1.1', 'X-A: 1'],
  ['CR in the target', 'GET /t\rHTTP/1.1 HTTP/1.1', 'X-A: 1'],
  ['LF in the target', 'GET /t\nHTTP/1.1 HTTP/1.1', 'X-A: 1'],
  ['a request in the target', 'GET /t\tHTTP/1.1\r\nHost:localhost\r\n\r\nGET\t/smuggled\t HTTP/1.1', 'X-A: 1'],
  ['NUL in the target', 'GET /t\0HTTP/1.1 HTTP/1.1', 'X-A: 1'],
  ['NUL before the target', 'GET \0/tHTTP/1.1 HTTP/1.1', 'X-A: 1'],
];

const CODINGS = ['gzip', 'deflate', 'identity', 'compress', 'chunked'];
const COMPLIANT: readonly Row[] = [
  ['no fields', 'GET /t HTTP/1.1'],
  ['chunked', P, TE],
  ['a length', 'PUT /t HTTP/1.1', CL],
  ['chunked, and high bytes in a value', P, TE, 'X-A: \t\t\tCustom-Value;\xc2\xa0'],
  ['every token character in a name', P, "X-A.!#$%&'*+^_`|~0123456789: \t\t\tvalue;\xc2\xa0"],
  ['an underscore in a name', P, 'X_Any_Header: 1'],
  ['a dot in a name', P, 'X.Any.Header: 1'],
  ['digits in a name', P, 'X-Header-0987654321: 1'],
  ['five codings in five fields', P, ...CODINGS.map((coding) => `Transfer-Encoding: ${coding}`)],
  ['five codings in one field', P, 'Transfer-Encoding: gzip , deflate , \tidentity\t, compress\t, chunked'],
  [
    'codings with parameters',
    P,
    'Transfer-Encoding:    gzip   ;   ',
    'Transfer-Encoding: deflate\t\t;\t\t',
    'Transfer-Encoding: \t\t\t\tchunked;custom_param;\t\t\t\t',
  ],
  [
    'a target of all that keyboards have',
    'POST /u:p@h:8080/i.php?a=l%20++~!@#$%^&*()_+:<>?,./;\'[]{}`~\\"|&b=i#f HTTP/1.1',
  ],
  ['a target in Russian', 'GET /\xd1\x81\xd1\x82\xd1\x80\xd0\xb0\xd0\xbd\xd0\xbd\xd1\x8b\xd0\xb5 HTTP/1.1'],
  ['an empty target', 'GET  HTTP/1.1'],
  ['%09 in the target', 'GET /path-%09-uri HTTP/1.1'],
  ['%20 in the target', 'GET /path-%20-uri HTTP/1.1'],
  ['%0D in the target', 'GET /path-%0D-uri HTTP/1.1'],
  ['%0A in the target', 'GET /path-%0A-uri HTTP/1.1'],
  ['a browser’s PUT with blanks around its length', 'PUT /t HTTP/1.1', 'Content-Length:  {length}  '],
  ['very many fields', 'PUT /t HTTP/1.1', CL, ...Array.from({ length: 80 }, (_, at) => `Header-Name-${at}: ok`)],
  ['a browser’s chunked PUT', 'PUT /t HTTP/1.1', 'Transfer-Encoding:  chunked'],
  ['escapes that are no UTF-8 in the query', 'POST /t?a=b&%dd=%ee HTTP/1.1', TE],
  ['a short length', P, 'Content-Type: application/x-www-form-urlencoded', CL],
  ['gzip, chunked', P, 'Transfer-Encoding:  gzip, chunked'],
  ['transfer-encoding in another field’s value', P, CL, 'X-Test: Transfer-Encoding: chunked'],
  ['deflate, identity, chunked', P, 'Transfer-Encoding:  deflate, identity, chunked'],
  ['a browser’s five codings', P, 'Connection: keep-alive', ...CODINGS.map((coding) => `Transfer-Encoding: ${coding}`)],
  ['chunked with a parameter', P, 'Transfer-Encoding:  \t\t\t\tchunked;custom_param;\t\t\t\t'],
];

const of = (tier: Tier, rows: readonly Row[]): DesyncCase[] =>
  rows.map(([name, line, ...fields]) => ({
    tier,
    name,
    method: line.split(' ')[0]!,
    bytes: bytesOf(tier, line, fields),
  }));

/** An honest body where the framing is honest; elsewhere one whose every misreading sends the embedded request. */
function bytesOf(tier: Tier, line: string, fields: readonly string[]): string {
  const hasLength = fields.some((field) => field.includes('{length}'));
  const isChunked = fields.some((field) => /^transfer-encoding:.*chunked/i.test(field));
  const isHonest = tier === 'compliant' || tier === 'acceptable';
  let body = EMBEDDED;
  if (isHonest) body = isChunked ? '0\r\n\r\n' : hasLength ? EMBEDDED : '';
  else if (line.startsWith('GET') || line.startsWith('HEAD')) {
    body = isChunked ? `${EMBEDDED.length.toString(16)}\r\n${EMBEDDED}\r\n0\r\n\r\n` : EMBEDDED;
  } else if (hasLength) body = `0\r\n\r\n${EMBEDDED}`;
  const head = [line, 'Host: any.test', ...fields, '', ''].join('\r\n');
  return head.replaceAll('{length}', String(body.length)) + body;
}

export const DESYNC: readonly DesyncCase[] = [
  ...of('compliant', COMPLIANT),
  ...of('acceptable', ACCEPTABLE),
  ...of('ambiguous', AMBIGUOUS),
  ...of('severe', SEVERE),
];
