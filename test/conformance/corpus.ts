/** All cases; what one is, is said in case.ts. */
import { chunked, EMBEDDED, forwarded, get, head, HOST, post, type Case } from './case.ts';
import { BODY_LENGTH, CHUNK_ENDS, CHUNKS, FRAMING_TWINS } from './corpus-bodies.ts';
import { AUTHORITY, LINES, OLD_AND_LONG, REQUEST_LINE } from './corpus-heads.ts';

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

export const CORPUS: readonly Case[] = [
  ...BODY_LENGTH,
  ...FRAMING_TWINS,
  ...CHUNKS,
  ...CHUNK_ENDS,
  ...LINES,
  ...REQUEST_LINE,
  ...AUTHORITY,
  ...OLD_AND_LONG,
  ...IN_STEP,
];
