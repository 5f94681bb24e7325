/**
 * Which test holds each known fault and CVE off: faults are numbered as in the list this gateway was built against, CVEs
 * are those of Node, undici, Fastify and other gateways whose cause could be ours. A row has tests, or a plugin that
 * holds it and the words its test is found by, or the reason why it does not apply. docs/conformance.md is made of this.
 */

type Test = readonly [file: string, title: string];

export interface Row {
  readonly id: string;
  readonly what: string;
  readonly tests: readonly Test[];
  /** Held by a plugin: its folder, and a pattern of the titles of its tests. */
  readonly by?: { readonly folder: string; readonly titles: RegExp };
  /** Why it cannot happen here. */
  readonly because?: string;
}

const held = (id: string, what: string, ...tests: (readonly Test[])[]): Row => ({ id, what, tests: tests.flat() });
const by = (id: string, what: string, folder: string, titles: RegExp, ...tests: (readonly Test[])[]): Row => ({
  ...{ id, what, tests: tests.flat() },
  by: { folder, titles },
});
const none = (id: string, what: string, because: string, ...tests: (readonly Test[])[]): Row => ({
  ...{ id, what, tests: tests.flat(), because },
});

const inFile =
  (file: string) =>
  (...titles: string[]): Test[] =>
    titles.map((title) => [file, title]);
const bytes = inFile('test/conformance/corpus.ts');
const framing = inFile('test/conformance/framing.test.ts');
const desync = inFile('test/conformance/desync.test.ts');
const fields = inFile('test/conformance/fields.test.ts');
const identity = inFile('test/conformance/identity.test.ts');
const paths = inFile('test/conformance/paths.test.ts');
const api = inFile('test/conformance/gateway-api.test.ts');
const answers = inFile('test/faults/upstream-answers.test.ts');
const hostile = inFile('test/faults/hostile-clients.test.ts');
const clients = inFile('test/faults/clients-and-deadlines.test.ts');
const throws = inFile('test/faults/a-plugin-throws.test.ts');
const upstreamTls = inFile('test/faults/upstream-tls.test.ts');
const limits = inFile('test/scenarios/limits-hold.test.ts');
const load = inFile('src/config/load.test.ts');
const broken = inFile('src/config/broken-files.test.ts');
const admin = inFile('src/control/admin/guard.test.ts');
const tls = inFile('test/scenarios/tls-to-clients.test.ts');
const shape = inFile('test/scenarios/requests-in-shape.test.ts');
const rates = inFile('plugins/rate-limit/rate-limit.test.ts');
const secrets = inFile('src/config/secret-files.test.ts');
const json = inFile('plugins/validate/json.test.ts');
const types = inFile('plugins/validate/content-type.test.ts');
const sockets = inFile('test/scenarios/websockets-pass.test.ts');
const outlive = inFile('test/scenarios/websockets-outlive-reloads.test.ts');
const cache = inFile('plugins/cache/cache.test.ts');
const streams = inFile('test/scenarios/streams-flow.test.ts');

const NO_HTTP2 = 'HTTP/2 is not spoken';
const NO_COMPRESSION = 'bodies are neither coded nor decoded';
const NO_FRAMES = 'frames of WebSockets pass as they are, and are not unpacked';
const OWN_CLIENT = 'the client towards upstreams is our own (docs/decisions/0005)';
const NO_PATH_LIBRARY = 'paths are read and matched by our own code alone';
const auth = 'plugins/auth';

const EVERY_SPELLING = paths('is not reached past its guard: %s', 'is not reached through a rewrite: %s');
const OWN_FIELDS_STAY = identity('does not take away a field that the gateway adds: %s');

export const FAULTS: readonly Row[] = [
  held(
    'F1',
    'both framings',
    bytes('content-length before transfer-encoding', 'transfer-encoding before content-length'),
  ),
  held('F2', 'CL.TE, TE.CL', bytes('CL.TE with an embedded request', 'TE.CL with an embedded request')),
  held('F3', 'odd lengths', bytes('two different content-lengths', 'a list of content-lengths', 'an empty length')),
  held('F4', 'odd codings', bytes('transfer-encoding folded', 'chunked in HTTP/1.0'), desync('the tables are whole')),
  held('F5', 'odd chunk sizes', bytes('a chunk size with 0x', 'a chunk size that wraps around at 64 bits')),
  held('F6', 'odd chunk ends', bytes('a chunk that ends in LF', 'a last chunk that ends in LF')),
  held('F7', 'chunk extensions', bytes('a chunk extension of 64 KiB', 'forty chunk extensions of 3 KiB')),
  held('F8', 'trailers', bytes('a trailer host is never merged', 'a trailer content-length is never merged')),
  held('F9', 'bare LF, bare CR, folding', bytes('bare LF everywhere', 'bare CR in a value', 'a folded field')),
  held('F10', 'control bytes', bytes('a NUL in a value', 'a DEL in a value', 'a non-ASCII byte in a name')),
  held('F11', 'Host', bytes('two hosts', 'a host with userinfo', 'a host with a bad port', 'a host with a zone')),
  held('F12', 'absolute targets', fields('an absolute target decides the host, whatever the Host field says')),
  held('F13', 'versions', bytes('HTTP/0.9', 'HTTP/2.0', 'HTTP/1.32', 'the HTTP/2 preface')),
  held('F14', 'methods', bytes('CONNECT', 'an unknown method'), fields('echoes nothing and is not forwarded')),
  held('F15', 'bodies that are requests', bytes('HEAD whose body is a request')),
  held(
    'F16',
    'pipelining',
    bytes('a hundred pipelined requests'),
    framing('takes with it what stands behind it, also while another still waits for its answer'),
    hostile('requests that do not wait for their answers are bounded on each connection'),
  ),
  held('F17', 'Expect', fields('100-continue twice, or in a crowd, is met or refused, never 500: %s')),
  held('F18', 'h2c', fields('h2c is not negotiated: no upgrade is forwarded, none is answered')),
  held('F19', 'false WebSockets', fields('a WebSocket handshake that the upstream answers with 200 opens no tunnel')),
  held('F20', 'hostile answers', answers('%s is 502', '%s never reaches the next client')),
  held('F21', 'claims of strangers', fields('a stranger’s claim is replaced by ours: %s')),
  held('F22', 'claims of proxies', fields('a trusted proxy’s claims are believed and continued')),
  held('F23', 'twins of names', identity('does not arrive, even where underscores may: %s')),
  held('F24', 'Connection', OWN_FIELDS_STAY, identity('a condition does not see what Connection takes away')),
  held('F25', 'identity fields', identity('is not taken from a stranger: %s')),
  held('F26', 'internal fields', fields('what only the gateway may say is taken from the client: %s')),
  held('F27', 'repeated fields', identity('a condition sees all values of a repeated field: %j')),
  held('F28', '__proto__', bytes('__proto__ as a field'), answers('field names that objects are born with')),
  held('F29', 'large heads', bytes('the 101st field', 'a field of 100 KB', '2001 fields')),
  held('F30', 'request ids', fields('even a trusted request id is replaced when it is no safe word: %.20s')),
  held('F31', 'inner hosts', identity('is no way in: %s')),
  held('F32', 'spellings of paths', EVERY_SPELLING),
  held('F33', 'encoded separators', paths('that hides a separator or a control byte is refused: %s')),
  held('F34', 'climbing rewrites', paths('that a rewrite would turn into a climb is refused or normal: %s')),
  held('F35', 'captures', paths('that would inject or climb through a capture never does: %s')),
  held('F36', 'spellings of hosts', limits('are told apart whatever their spelling: %s')),
  none('F37', 'the host of another listener on one connection', NO_HTTP2),
  held(
    'F38',
    'query parameters',
    shape('still takes no thousands of parameters and no hundreds of cookies'),
    api('as many query parameters as are allowed are matched in bounded time'),
  ),
  held('F39', 'Gateway API', api('$it: $ask')),
  by('F40', 'forged tokens', auth, /forge|token/i),
  by('F41', 'jku, x5u, jwk', auth, /jku|canary/i),
  by('F42', 'unknown kids', auth, /kid/i),
  by('F43', 'rotated keys', auth, /rotat/i),
  by('F44', 'another route’s token', auth, /audience/i),
  by('F45', 'a token that ends in a stream', auth, /expire/i),
  by('F46', 'API keys', auth, /key/i),
  by('F47', 'revoked keys', auth, /revoke|reload/i),
  by('F48', 'OpenID Connect', auth, /state|nonce|oidc/i),
  by('F49', 'open redirects', auth, /return|redirect/i),
  by('F50', 'session cookies', auth, /session|cookie/i),
  by('F51', 'the auth service down', auth, /closed|down|unreachable/i),
  held('F61', 'slow heads', hostile('heads that never end are cut at their limit, and others are served meanwhile')),
  held('F62', 'slow bodies', hostile('bodies that never end are cut at their limit')),
  held('F63', 'slow readers', clients('twenty that stall in a download are not read ahead for')),
  held('F65', 'event streams', streams('begins at once', 'arrives identical')),
  held('F67', 'a stream whose client leaves', streams('is left at the upstream when its client leaves')),
  held('F68', 'large bodies', clients('one byte over the limit is 413, %s, and the upstream sees no whole request')),
  held('F69', 'large targets', bytes('a target of 100 KB', 'a method of 100 KB')),
  held('F70', 'idle connections', hostile('idle connections cost no service, and are closed at their limit')),
  held(
    'F71',
    'unfinished handshakes',
    tls('handshakes that never end are closed, and are connections while they last'),
  ),
  held('F72', 'Range', cache('answers a HEAD, a range, a condition, and several ranges as a whole')),
  held(
    'F73',
    'spoofed addresses',
    fields('a stranger’s claim is replaced by ours: %s'),
    rates('is an address, however it is written'),
  ),
  held('F74', 'IPv6 networks', rates('is a network of 64 bits in IPv6')),
  by('F75', 'what counts', 'plugins/rate-limit', /count/i),
  held('F76', 'window edges', rates('lets pass exactly as many as it says, over all threads (%s)')),
  by('F77', 'a million keys', 'plugins/rate-limit', /million|keys|bounded/i),
  held('F78', 'two threads', rates('lets pass exactly as many as it says, over all threads (%s)')),
  none('F79', 'bombs', NO_COMPRESSION),
  held('F80', 'hostile JSON', json('never touches a prototype', 'a hundred thousand levels', 'half a surrogate pair')),
  none('F81', 'BREACH', NO_COMPRESSION),
  none('F82', 'Accept-Encoding', NO_COMPRESSION),
  none('F83', 'coded answers', NO_COMPRESSION),
  held('F84', 'hostile regexes', limits('that would backtrack for ever elsewhere is matched in bounded time')),
  held('F85', 'hostile YAML', load('a billion laughs', 'prototype keys, and Object.prototype is as it was')),
  held('F86', 'files outside the directory', secrets('secrets/../../mounted/admin', 'secrets/link')),
  held('F87', 'wrong files', broken('a key written twice', 'a list as the file')),
  held('F88', 'cookies', identity('two hundred pairs arrive as they were', 'of a thousand pairs')),
  held('F89', 'poison in fields without a key', cache('what a request asked with a body, a precondition or')),
  held('F90', 'deceived caches', cache('an answer that says %s', 'known callers have answers of their own')),
  held('F91', 'hosts that share a path', cache('holds host, path and query as they are')),
  held('F92', 'credentials', cache('Authorization: only what', 'cookies: the same', 'known callers have')),
  held('F93', 'GET with a body, HEAD, Range', cache('what a request asked with a body', 'answers a HEAD, a range')),
  held('F94', 'odd Cache-Control', cache('an answer that says %s')),
  held('F95', 'odd Vary', cache('is bounded: a thousand values leave sixteen', 'an answer that says %s')),
  held(
    'F96',
    'crowds',
    cache('of a hundred makes at most one request', 'shares the error', 'waits for a slow one no longer'),
  ),
  held('F97', 'errors', cache('errors that say nothing')),
  held('F98', 'writes', cache('%s makes the answer of its URL')),
  held('F99', 'hits with unread bodies', cache('leaves nothing behind on the connection')),
  held('F100', 'cut answers', cache('an answer that broke off')),
  held('F101', 'frames of a WebSocket', sockets('passes every byte as it is, both ways', 'passes pings and pongs')),
  held(
    'F102',
    'answers to an upgrade',
    sockets(
      'that the upstream answers with %i gets that answer, and no tunnel',
      'that the upstream agrees to without proof is refused with 502: %s',
      'is held up to a bound, however much it is',
    ),
  ),
  held('F103', 'WebSockets from other sites', sockets('past the hooks of the route')),
  held(
    'F104',
    'stalled and silent WebSockets',
    sockets('lets the other wait when the %s does not read', 'is closed with 1001 when it was silent for too long'),
  ),
  held(
    'F105',
    'WebSockets at a reload and at the end',
    outlive('outlive any number of reloads', 'hold the drain until'),
  ),
  held('F120', 'a plugin that throws', throws('in its %s: 500 for that request alone', 'is counted')),
];

const NODE: readonly Row[] = [
  held('CVE-2018-12122, 2020-8251', 'slow heads', hostile('heads that never end are cut at their limit')),
  held('CVE-2018-12121', 'memory of heads', bytes('a field of 100 KB', 'fields that are together over 16 KiB')),
  held('CVE-2019-15605, 2020-8287, 2022-32213…', 'codings', bytes('transfer-encoding twice', 'xchunked')),
  held('CVE-2021-22959, 2024-27982', 'space behind a name', bytes('a space before the colon of content-length')),
  held('CVE-2021-22960, 2024-22019', 'chunk extensions', bytes('a chunk extension of 64 KiB')),
  held('CVE-2023-30589', 'bare CR', bytes('bare CR in a value', 'bare CR after a field')),
  held('CVE-2025-23167', 'CR before the end of the head', bytes('CR before the end of the head')),
  none('CVE-2023-44487', 'rapid reset', NO_HTTP2, bytes('the HTTP/2 preface')),
  none('CVE-2024-27983', 'CONTINUATION', NO_HTTP2),
  none('CVE-2025-23085', 'no GOAWAY', NO_HTTP2),
  none('CVE-2025-59465', 'malformed HEADERS', NO_HTTP2),
  none('CVE-2025-59466', 'stack overflow under async hooks', 'no AsyncLocalStorage in the gateway'),
  held('CVE-2026-21637', 'a throw in SNICallback', tls('for a name of %s is refused or the first, and nothing breaks')),
  held(
    'CVE-2026-21710',
    'a header named __proto__',
    bytes('__proto__ as a field', 'a trailer __proto__ is never merged'),
  ),
  by('CVE-2026-21713', 'HMAC compared in variable time', auth, /constant|timing/i),
  none('CVE-2026-21714', 'WINDOW_UPDATE', NO_HTTP2),
  held('CVE-2026-21717', 'hash collisions', api('as many query parameters as are allowed are matched in bounded time')),
];

const UNDICI: readonly Row[] = [
  held(
    'CVE-2022-31150, 2022-35948, 2023-23936',
    'line ends in what is sent',
    paths('with encoded line ends is refused or keeps them encoded: no field is made of it'),
  ),
  held('CVE-2022-35949', 'a path that names a host', paths('never chooses the upstream: %s')),
  held('CVE-2023-24807', 'spaces in values', bytes('fourteen thousand spaces around a value')),
  held('CVE-2023-45143, 2024-24758, 2024-30260', 'redirects', answers('a redirection is the client’s to follow')),
  held(
    'CVE-2025-47279',
    'bad certificates',
    upstreamTls('leaves no connection behind when it fails to, a hundred times'),
  ),
  none('CVE-2026-22036', 'chains of Content-Encoding', NO_COMPRESSION),
  held('CVE-2026-1525', 'lengths in two cases', bytes('two different content-lengths', 'two equal content-lengths')),
  held('CVE-2026-1527', 'line ends in Upgrade', bytes('CR in Upgrade')),
  none('CVE-2026-1526, 1528, 2229, 9675, 12151', 'WebSocket client', NO_FRAMES),
  held('CVE-2026-2581', 'coalescing', cache('an answer larger than maxEntry', 'known callers have')),
  held('CVE-2026-9678, 13697', 'Cache-Control: private', cache('an answer that says %s')),
  held('CVE-2026-9679', 'decoded cookies', identity('that are encoded stay encoded')),
  none(
    'CVE-2026-9697',
    'TLS through a SOCKS proxy',
    OWN_CLIENT,
    upstreamTls('that cannot prove who it is gets nothing: %s'),
  ),
  none('CVE-2026-6734', 'undici itself', OWN_CLIENT),
];

const FASTIFY: readonly Row[] = [
  held('CVE-2022-39288', 'Content-Type', identity('goes on byte for byte, whatever its Content-Type says: %.40s')),
  held(
    'CVE-2025-32442, 2026-25223, 33806, 3419',
    'two readings of Content-Type',
    types('that is not exactly one media type is none: %j'),
  ),
  held('CVE-2026-25224', 'no back-pressure', clients('twenty that stall in a download are not read ahead for')),
  held(
    'CVE-2026-3635',
    'X-Forwarded-Proto believed',
    identity('a condition does not see what the upstream will not: %s'),
  ),
  held('reply-from CVE-2021-21321, 21322', 'climbing out of a prefix', EVERY_SPELLING),
  held('reply-from CVE-2023-51701, 2025-66415', 'bodies written anew', identity('goes on byte for byte')),
  held('http-proxy CVE-2026-33805', 'Connection strips what was added', OWN_FIELDS_STAY),
  held('middie CVE-2026-2880, express 22037, 33807, 33808, 6556', 'two readings of a path', EVERY_SPELLING),
  held('static CVE-2026-6414', '%2F decoded late', paths('that hides a separator or a control byte is refused: %s')),
  none(
    'find-my-way CVE-2024-45813, path-to-regexp 45296',
    'slow patterns',
    NO_PATH_LIBRARY,
    limits('that would backtrack'),
  ),
  by('fast-jwt CVE-2023-48223, 2026-34950', 'confused algorithms', auth, /algorithm|HS256/i),
  by('fast-jwt CVE-2025-30144', 'a list of issuers', auth, /issuer/i),
  by('fast-jwt CVE-2026-44351', 'empty secrets', auth, /empty|secret/i),
  by('fast-jwt GHSA-hm7r-c7qw-ghp6', 'crit', auth, /crit/i),
  by('fast-jwt GHSA-rp9m-7r4c-75qg', 'cached claims', auth, /cache/i),
  held(
    'rate-limit',
    'spoofable keys',
    fields('a stranger’s claim is replaced by ours: %s'),
    rates('is an address, however it is written'),
  ),
  held('ws CVE-2024-37890', 'upgrades with many fields', sockets('with too many fields'), bytes('2001 fields')),
  held('http-proxy-middleware CVE-2024-21536', 'odd paths end the process', EVERY_SPELLING),
];

const GATEWAYS: readonly Row[] = [
  held('Traefik CVE-2024-45410', 'Connection strips X-Forwarded-*', OWN_FIELDS_STAY),
  held(
    'Traefik CVE-2024-28869',
    'a GET without its body',
    hostile('a GET that announces a body and sends none is cut too'),
  ),
  held('Traefik CVE-2025-32431, 47952, 66490', 'paths past the middleware', EVERY_SPELLING),
  held('Traefik CVE-2026-48020, 65600', 'climbing after a rewrite', paths('is not reached through a rewrite: %s')),
  held('Caddy CVE-2026-27587, 27588', 'case of hosts', limits('are told apart whatever their spelling: %s')),
  held(
    'Kong CVE-2020-11710',
    'open admin server',
    admin('lets anybody ask whether it lives and is ready, and nothing else'),
  ),
  by('Kong CVE-2021-27306', 'tokens', auth, /token/i),
  none('APISIX CVE-2020-13945, 2021-45232', 'default credentials', 'there is none: no token, no access off loopback'),
  held('APISIX CVE-2021-43557', 'raw targets', EVERY_SPELLING),
  none('APISIX CVE-2022-24112', 'batched requests', 'requests are not batched'),
  held(
    'APISIX CVE-2022-29266',
    'secrets in errors',
    identity('holds one valid line for each request'),
    throws('in its %s'),
  ),
  by('APISIX CVE-2024-32638, 2026-31908, 39998', 'forwarded authentication', auth, /forward/i),
  by(
    'APISIX CVE-2025-46647, 2026-44087',
    'issuers mixed up',
    auth,
    /issuer/i,
    identity('is not taken from a stranger: %s'),
  ),
  by('APISIX CVE-2026-39999, 49230, 49872', 'confused algorithms', auth, /algorithm|HS256/i),
  held(
    'Envoy CVE-2019-9900, 9901, 2021-29492, 32779',
    'NUL, %2F, #',
    bytes('a NUL in a value', 'a fragment in the target'),
  ),
  held(
    'Envoy CVE-2021-32777, 2026-26308',
    'one of many values',
    identity('a condition sees all values of a repeated field: %j'),
  ),
  held(
    'Envoy CVE-2022-21654, nginx 2025-23419',
    'resumed sessions',
    tls('resumed with %s is as good on its own listener, and nothing elsewhere'),
  ),
  held('Envoy CVE-2023-27487, 2024-45806', 'internal fields', fields('what only the gateway may say is taken')),
  held('Envoy CVE-2024-45808', 'log injection', identity('holds one valid line for each request')),
  held('Envoy CVE-2026-26311, 47221', 'work after a reset', hostile('leaves nothing behind, forty times: %s')),
  held('Envoy CVE-2026-47774, 48044, 48042', 'cookies, bombs, depth', identity('of a thousand pairs')),
  by('Envoy CVE-2026-47775', 'padding oracles', auth, /cookie|session/i),
  held(
    'HAProxy CVE-2021-40346, 2023-25725, 40225, 45539',
    'empty names, lengths, #',
    bytes('an empty name', 'an empty length'),
  ),
  none('HAProxy CVE-2026-33555', 'END_STREAM without a body', NO_HTTP2),
  none('nginx CVE-2026-42926', 'injection into HTTP/2', NO_HTTP2),
  held(
    'nginx CVE-2026-42945, 9256',
    'captures',
    paths('is captured and written by a regex rewrite without being decoded: %s'),
  ),
  held('Pingora CVE-2025-4366', 'hits with unread bodies', cache('leaves nothing behind on the connection')),
  held(
    'Pingora CVE-2026-2833',
    'bytes before the 101',
    fields('a WebSocket handshake that the upstream answers with 200'),
    sockets('is no request, and never reaches an upstream that stays with HTTP'),
  ),
  held('Pingora CVE-2026-2835', 'HTTP/1.0', bytes('chunked in HTTP/1.0 with keep-alive', 'both framings in HTTP/1.0')),
  held('Pingora CVE-2026-2836', 'cache keys', cache('holds host, path and query as they are')),
  held(
    'Apache CVE-2023-25690',
    'line ends in a rewrite',
    paths('that would inject or climb through a capture never does: %s'),
  ),
  held('Next.js CVE-2025-29927', 'internal fields', fields('what only the gateway may say is taken')),
  none('CVE-2019-9511…9518, 2023-44487, 2025-8671', 'floods of HTTP/2', NO_HTTP2),
];

export const CVES = { 'Node.js': NODE, undici: UNDICI, 'Fastify and plugins': FASTIFY, 'Other gateways': GATEWAYS };
