/** Where a body begins and ends. */
import { all, BAD, BAD_CODING, chunked, cut, EMBEDDED, forwarded, head, HOST, post, type Case } from './case.ts';

/** F1–F4: which bytes are the body. RFC 9112 §6. */
export const BODY_LENGTH: Case[] = [
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

/** Names that a service may take for framing fields: CGI and its heirs map all but letters and digits to `_`. */
export const FRAMING_TWINS: Case[] = all(BAD, {
  'content_length beside a length': post(['Content-Length: 5', 'Content_Length: 50'], 'hello'),
  'transfer_encoding beside a length': post(['Content-Length: 5', 'Transfer_Encoding: chunked'], 'hello'),
  'content.length': post(['Content.Length: 5'], EMBEDDED),
  "content'length": post(["Content'Length: 5"], EMBEDDED),
  'content--length': post(['Content--Length: 5'], EMBEDDED),
  'transfer.encoding': post(['Transfer.Encoding: chunked'], EMBEDDED),
  'transfer_-encoding': post(['Transfer_-Encoding: chunked'], EMBEDDED),
  TRANSFER_ENCODING: post(['TRANSFER_ENCODING: chunked'], EMBEDDED),
});

/** F5–F8: chunks. RFC 9112 §7.1. */
export const CHUNKS: Case[] = [
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

/** RFC 9112 §7.1, and the ends of chunked bodies that some readers take for others (TERM.EXT, EXT.TERM, SPILL). */
export const CHUNK_ENDS: Case[] = [
  ...all(cut(400), {
    'a last chunk that ends in LF': chunked(`5\r\nhello\r\n0\n\r\n${EMBEDDED}`),
    'a last chunk and its line both ended by LF': chunked(`5\r\nhello\r\n0\n\n${EMBEDDED}`),
    'a last chunk that ends in CR': chunked(`5\r\nhello\r\n0\r\r\n${EMBEDDED}`),
    'an extension that ends in LF': chunked(`5;a=b\nhello\r\n0\r\n\r\n${EMBEDDED}`),
    'an extension that LF cuts in two': chunked(`5;a\n0\r\n\r\n${EMBEDDED}hello\r\n0\r\n\r\n`),
    'an extension that CR cuts in two': chunked(`5;a\r0\r\n\r\n${EMBEDDED}hello\r\n0\r\n\r\n`),
    'an extension of the last chunk that ends in LF': chunked(`5\r\nhello\r\n0;a\n\r\n${EMBEDDED}`),
    'two bytes of junk behind a chunk': chunked(`5\r\nhelloXX5\r\nworld\r\n0\r\n\r\n${EMBEDDED}`),
    'a chunk size behind a NUL': chunked(`\x005\r\nhello\r\n0\r\n\r\n`),
    'a chunk size before a NUL': chunked(`5\0\r\nhello\r\n0\r\n\r\n`),
    'a chunk size in wide digits': chunked(`\xef\xbc\x95\r\nhello\r\n0\r\n\r\n`),
    'a chunk size that wraps around at 64 bits': chunked('fffffffffffffffff\r\nhello\r\n0\r\n\r\n'),
    'a chunk size with a comma': chunked('1,0\r\nhello\r\n0\r\n\r\n'),
    'a chunk size with a dot': chunked('5.0\r\nhello\r\n0\r\n\r\n'),
    'a trailer that is folded': chunked('5\r\nhello\r\n0\r\nX-T: a\r\n b\r\n\r\n'),
    'a trailer with a NUL': chunked('5\r\nhello\r\n0\r\nX-T: a\0b\r\n\r\n'),
    'a trailer that ends in LF': chunked(`5\r\nhello\r\n0\r\nX-T: a\n\r\n${EMBEDDED}`),
    'a trailer of transfer-encoding that is folded': chunked('5\r\nhello\r\n0\r\nTransfer-Encoding:\r\n x\r\n\r\n'),
  }),
  ...all(cut(400, 413, 431), {
    'a chunk size with a thousand zeros, and an extension of 20 KiB': chunked(
      `${'0'.repeat(1_000)}5;${'x'.repeat(20_480)}\r\nhello\r\n0\r\n\r\n`,
    ),
  }),
  ...all(
    { kind: 'either', statuses: [400], as: ['POST', '/t', 'hello'] },
    {
      'a trailer transfer-encoding is never merged': chunked('5\r\nhello\r\n0\r\nTransfer-Encoding: gzip\r\n\r\n'),
      'a chunk size before a space': chunked('5 \r\nhello\r\n0\r\n\r\n'),
      'a quoted extension': chunked('5;a="b;c"\r\nhello\r\n0\r\n\r\n'),
      'a last chunk of many zeros': chunked('5\r\nhello\r\n0000000\r\n\r\n'),
      'chunks of one byte each': chunked(`${[...'hello'].map((byte) => `1\r\n${byte}\r\n`).join('')}0\r\n\r\n`),
    },
  ),
  {
    name: 'four thousand chunks of one byte',
    bytes: chunked(`${'1\r\nx\r\n'.repeat(4_000)}0\r\n\r\n`),
    expect: forwarded(['POST', '/t', 'x'.repeat(4_000)]),
  },
];
