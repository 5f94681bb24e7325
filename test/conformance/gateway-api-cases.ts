/**
 * What the Kubernetes Gateway API says of an HTTPRoute (core and extended, standard channel), in our words: for each
 * topic some routes, and requests with what must become of them. Every topic has host names of its own, so that one
 * gateway serves them all. Pools a, b, c and d have one service each; `none` has no endpoint.
 */

export interface Ask {
  readonly it: string;
  /** `GET /path`. */
  readonly ask: string;
  /** host[:port], the topic’s own unless given. */
  readonly host?: string;
  readonly fields?: readonly string[];
  readonly gets: Gets;
}

export interface Gets {
  /** The pool that served it. */
  readonly pool?: 'a' | 'b' | 'c' | 'd';
  /** The status, when no pool did. */
  readonly status?: number;
  /** Method and target as they arrived there. */
  readonly target?: string;
  /** Fields as they arrived there: all values joined by `|`, null when there must be none. */
  readonly upstream?: Readonly<Record<string, string | null>>;
  /** Fields of the answer, likewise. */
  readonly answer?: Readonly<Record<string, string | null>>;
}

export interface Topic {
  readonly topic: string;
  readonly host: string;
  /** As in a route file; a match without host gets the topic’s. */
  readonly routes: readonly Record<string, unknown>[];
  readonly asks: readonly Ask[];
}

const a = { pool: 'a' } as const;
const b = { pool: 'b' } as const;
const c = { pool: 'c' } as const;
const d = { pool: 'd' } as const;
const none = { status: 404 } as const;

const paths: Topic = {
  topic: 'path matching',
  host: 'paths.test',
  routes: [
    { name: 'paths-two', match: { path: '/two/*' }, pool: 'b' },
    { name: 'paths-one', match: { path: '/one' }, pool: 'a' },
    { name: 'paths-two-exact', match: { path: '/two/exact' }, pool: 'c' },
    { name: 'paths-two-deep', match: { path: '/two/deep/*' }, pool: 'd' },
    { name: 'paths-regex', match: { path: { regex: '/v[0-9]+/users' } }, pool: 'a' },
    { name: 'paths-regex-short', match: { path: { regex: '/two/r.*' } }, pool: 'a' },
    { name: 'paths-slash', match: { path: '/slash/' }, pool: 'a' },
    { name: 'paths-any', match: [{ path: '/any/1' }, { path: '/any/2/*' }], pool: 'c' },
  ],
  asks: [
    { it: 'an exact path matches itself', ask: 'GET /one', gets: a },
    { it: 'an exact path matches with a query', ask: 'GET /one?x=/two', gets: { ...a, target: '/one?x=/two' } },
    { it: 'an exact path does not match below itself', ask: 'GET /one/more', gets: none },
    { it: 'an exact path does not match with a slash behind it', ask: 'GET /one/', gets: none },
    { it: 'an exact path minds case', ask: 'GET /One', gets: none },
    { it: 'an exact path is not a prefix of a word', ask: 'GET /oneness', gets: none },
    { it: 'an exact path with a slash matches with it', ask: 'GET /slash/', gets: a },
    { it: 'an exact path with a slash does not match without it', ask: 'GET /slash', gets: none },
    { it: 'a prefix matches the path itself', ask: 'GET /two', gets: b },
    { it: 'a prefix matches with a slash', ask: 'GET /two/', gets: b },
    { it: 'a prefix matches below', ask: 'GET /two/three/four', gets: b },
    { it: 'a prefix matches with a query', ask: 'GET /two?x', gets: b },
    { it: 'a prefix matches whole segments only', ask: 'GET /twofold', gets: none },
    { it: 'a prefix minds case', ask: 'GET /Two/x', gets: none },
    { it: 'an exact path wins over a prefix', ask: 'GET /two/exact', gets: c },
    { it: 'below the exact path the prefix matches again', ask: 'GET /two/exact/x', gets: b },
    { it: 'the longer prefix wins', ask: 'GET /two/deep/x', gets: d },
    { it: 'the longer prefix wins for its own path', ask: 'GET /two/deep', gets: d },
    { it: 'the longer prefix takes whole segments', ask: 'GET /two/deeper', gets: b },
    { it: 'a regex matches the whole path', ask: 'GET /v12/users', gets: a },
    { it: 'a regex does not match a part', ask: 'GET /v12/users/7', gets: none },
    { it: 'a regex is tried behind prefixes', ask: 'GET /two/regex', gets: b },
    { it: 'the first of a list matches', ask: 'GET /any/1', gets: c },
    { it: 'the second of a list matches', ask: 'GET /any/2/x', gets: c },
    { it: 'no route is 404', ask: 'GET /nowhere', gets: none },
    { it: 'no route for the root is 404', ask: 'GET /', gets: none },
    { it: 'an encoded letter matches as the letter', ask: 'GET /%6Fne', gets: { ...a, target: '/one' } },
    { it: 'an encoded word stays a word', ask: 'GET /two/%C3%A9', gets: { ...b, target: '/two/%C3%A9' } },
  ],
};

const roots: Topic = {
  topic: 'the root',
  host: 'roots.test',
  routes: [
    { name: 'roots-all', match: { path: '/*' }, pool: 'a' },
    { name: 'roots-root', match: { path: '/' }, pool: 'b' },
    { name: 'roots-deep', match: { path: '/x/y/*' }, pool: 'c' },
  ],
  asks: [
    { it: '/ alone is exact', ask: 'GET /', gets: b },
    { it: '/ matches with a query', ask: 'GET /?x', gets: b },
    { it: '/* takes the rest', ask: 'GET /x', gets: a },
    { it: '/* takes what a longer prefix left', ask: 'GET /x/z', gets: a },
    { it: 'the longer prefix has its own', ask: 'GET /x/y/z', gets: c },
  ],
};

const hosts: Topic = {
  topic: 'host matching',
  host: 'hosts.test',
  routes: [
    { name: 'hosts-wild', match: { host: '*.hosts.test', path: '/*' }, pool: 'a' },
    { name: 'hosts-exact', match: { host: 'api.hosts.test', path: '/api/*' }, pool: 'b' },
    { name: 'hosts-deep', match: { host: '*.deep.hosts.test', path: '/*' }, pool: 'c' },
    { name: 'hosts-list', match: { host: ['one.list.test', 'two.list.test'], path: '/*' }, pool: 'd' },
    { name: 'hosts-own', match: { path: '/own' }, pool: 'b' },
    { name: 'hosts-upper', match: { host: 'Upper.List.Test', path: '/*' }, pool: 'c' },
  ],
  asks: [
    { it: 'an exact host matches', ask: 'GET /api/x', host: 'api.hosts.test', gets: b },
    { it: 'an exact host wins, whatever the order', ask: 'GET /api', host: 'api.hosts.test', gets: b },
    {
      it: 'a wildcard serves what the exact host has no route for',
      ask: 'GET /other',
      host: 'api.hosts.test',
      gets: a,
    },
    { it: 'a wildcard matches one label', ask: 'GET /', host: 'x.hosts.test', gets: a },
    { it: 'a wildcard matches several labels', ask: 'GET /', host: 'x.y.hosts.test', gets: a },
    { it: 'a wildcard does not match its own suffix', ask: 'GET /', host: 'hosts.test', gets: none },
    { it: 'a wildcard takes whole labels', ask: 'GET /', host: 'xhosts.test', gets: none },
    { it: 'the longer wildcard wins', ask: 'GET /', host: 'x.deep.hosts.test', gets: c },
    { it: 'the longer wildcard’s suffix is the shorter one’s', ask: 'GET /', host: 'deep.hosts.test', gets: a },
    { it: 'the first host of a list', ask: 'GET /', host: 'one.list.test', gets: d },
    { it: 'the second host of a list', ask: 'GET /', host: 'two.list.test', gets: d },
    { it: 'no other host', ask: 'GET /', host: 'three.list.test', gets: none },
    { it: 'hosts do not mind case', ask: 'GET /api', host: 'API.Hosts.TEST', gets: b },
    { it: 'nor in the configuration', ask: 'GET /', host: 'upper.list.test', gets: c },
    { it: 'the port of the host is not matched', ask: 'GET /api', host: 'api.hosts.test:8443', gets: b },
    { it: 'a dot at the end means the same host', ask: 'GET /api', host: 'api.hosts.test.', gets: b },
    { it: 'a dot and a port', ask: 'GET /api', host: 'api.hosts.test.:80', gets: b },
    { it: 'an unknown host is 404', ask: 'GET /own', host: 'unknown.test', gets: none },
    { it: 'an exact host that is a wildcard’s suffix', ask: 'GET /own', gets: b },
    { it: 'an address is no wildcard’s host', ask: 'GET /', host: '127.0.0.1', gets: none },
  ],
};

const methods: Topic = {
  topic: 'method matching',
  host: 'methods.test',
  routes: [
    { name: 'methods-get', match: { path: '/m', methods: ['GET'] }, pool: 'a' },
    { name: 'methods-write', match: { path: '/m', methods: ['POST', 'PUT'] }, pool: 'b' },
    { name: 'methods-under', match: { path: '/u/*', methods: ['GET'] }, pool: 'a' },
    { name: 'methods-under-any', match: { path: '/u/*' }, pool: 'c' },
    { name: 'methods-longer', match: { path: '/u/longer/*' }, pool: 'd' },
    { name: 'methods-fields', match: { path: '/f', headers: { 'x-a': '1', 'x-b': '2' } }, pool: 'c' },
    { name: 'methods-over-fields', match: { path: '/f', methods: ['PATCH'] }, pool: 'd' },
  ],
  asks: [
    { it: 'a method matches', ask: 'GET /m', gets: a },
    { it: 'the first of several', ask: 'POST /m', gets: b },
    { it: 'the second of several', ask: 'PUT /m', gets: b },
    { it: 'another method has no route', ask: 'DELETE /m', gets: none },
    { it: 'HEAD is not GET', ask: 'HEAD /m', gets: none },
    { it: 'a route with a method wins over one without', ask: 'GET /u/x', gets: a },
    { it: 'the one without takes the rest', ask: 'DELETE /u/x', gets: c },
    { it: 'OPTIONS is a method as any', ask: 'OPTIONS /u/x', gets: c },
    { it: 'PATCH is a method as any', ask: 'PATCH /u/x', gets: c },
    { it: 'a longer prefix wins over a method', ask: 'GET /u/longer/x', gets: d },
    { it: 'a method wins over header conditions', ask: 'PATCH /f', fields: ['X-A: 1', 'X-B: 2'], gets: d },
  ],
};

const headers: Topic = {
  topic: 'header matching',
  host: 'headers.test',
  routes: [
    { name: 'headers-one', match: { path: '/h', headers: { version: 'one' } }, pool: 'a' },
    { name: 'headers-two', match: { path: '/h', headers: { version: 'two' } }, pool: 'b' },
    { name: 'headers-two-orange', match: { path: '/h', headers: { version: 'two', color: 'orange' } }, pool: 'c' },
    { name: 'headers-regex', match: { path: '/r', headers: { 'user-agent': { regex: '.*Mobile.*' } } }, pool: 'a' },
    { name: 'headers-present', match: { path: '/p', headers: { 'x-canary': { present: true } } }, pool: 'a' },
    { name: 'headers-absent', match: { path: '/p', headers: { 'x-canary': { present: false } } }, pool: 'b' },
    {
      name: 'headers-any',
      match: [
        { path: '/l', headers: { x: '1' } },
        { path: '/l', headers: { y: '2' } },
      ],
      pool: 'd',
    },
    { name: 'headers-case', match: { path: '/c', headers: { 'X-Mixed': 'Value' } }, pool: 'c' },
    { name: 'headers-prefix', match: { path: '/h/*' }, pool: 'd' },
    { name: 'headers-cookie', match: { path: '/k', cookies: { flavour: 'vanilla' } }, pool: 'a' },
    { name: 'headers-nul', match: { path: '/o', headers: { host: 'headers.test' } }, pool: 'b' },
  ],
  asks: [
    { it: 'a value matches', ask: 'GET /h', fields: ['Version: one'], gets: a },
    { it: 'another value matches its own', ask: 'GET /h', fields: ['Version: two'], gets: b },
    { it: 'more conditions win', ask: 'GET /h', fields: ['Version: two', 'Color: orange'], gets: c },
    { it: 'all conditions must hold', ask: 'GET /h', fields: ['Color: orange', 'Version: one'], gets: a },
    { it: 'a wrong second condition falls back', ask: 'GET /h', fields: ['Version: two', 'Color: blue'], gets: b },
    { it: 'no condition holds: the prefix route', ask: 'GET /h', gets: d },
    { it: 'a wrong value: the prefix route', ask: 'GET /h', fields: ['Version: three'], gets: d },
    { it: 'values mind case', ask: 'GET /h', fields: ['Version: ONE'], gets: d },
    { it: 'names do not mind case', ask: 'GET /h', fields: ['VERSION: one'], gets: a },
    { it: 'names of the configuration do not mind case', ask: 'GET /c', fields: ['x-mixed: Value'], gets: c },
    { it: 'white space around a value is none of it', ask: 'GET /h', fields: ['Version:   one  '], gets: a },
    { it: 'a part of a value does not match', ask: 'GET /h', fields: ['Version: onetwo'], gets: d },
    { it: 'a regex matches', ask: 'GET /r', fields: ['User-Agent: A Mobile B'], gets: a },
    { it: 'a regex does not match', ask: 'GET /r', fields: ['User-Agent: Desktop'], gets: none },
    { it: 'presence', ask: 'GET /p', fields: ['X-Canary: whatever'], gets: a },
    { it: 'absence', ask: 'GET /p', gets: b },
    { it: 'one of a list, by the first', ask: 'GET /l', fields: ['X: 1'], gets: d },
    { it: 'one of a list, by the second', ask: 'GET /l', fields: ['Y: 2'], gets: d },
    { it: 'none of a list', ask: 'GET /l', fields: ['X: 2', 'Y: 1'], gets: none },
    { it: 'a cookie', ask: 'GET /k', fields: ['Cookie: a=b; flavour=vanilla; c=d'], gets: a },
    { it: 'another cookie', ask: 'GET /k', fields: ['Cookie: flavour=chocolate'], gets: none },
    { it: 'a cookie whose name ends alike', ask: 'GET /k', fields: ['Cookie: xflavour=vanilla'], gets: none },
  ],
};

const queries: Topic = {
  topic: 'query matching',
  host: 'queries.test',
  routes: [
    { name: 'queries-one', match: { path: '/q', query: { animal: 'whale' } }, pool: 'a' },
    { name: 'queries-two', match: { path: '/q', query: { animal: 'dolphin' } }, pool: 'b' },
    { name: 'queries-more', match: { path: '/q', query: { animal: 'dolphin', color: 'blue' } }, pool: 'c' },
    { name: 'queries-header', match: { path: '/q', headers: { x: '1' } }, pool: 'd' },
    { name: 'queries-present', match: { path: '/p', query: { debug: { present: true } } }, pool: 'a' },
    { name: 'queries-regex', match: { path: '/r', query: { id: { regex: '[0-9]+' } } }, pool: 'b' },
    { name: 'queries-space', match: { path: '/s', query: { name: 'a b' } }, pool: 'c' },
  ],
  asks: [
    { it: 'a value matches', ask: 'GET /q?animal=whale', gets: a },
    { it: 'another value matches its own', ask: 'GET /q?animal=dolphin', gets: b },
    { it: 'more conditions win', ask: 'GET /q?animal=dolphin&color=blue', gets: c },
    { it: 'whatever their order', ask: 'GET /q?color=blue&animal=dolphin', gets: c },
    { it: 'among others', ask: 'GET /q?x=1&animal=whale&y=2', gets: a },
    {
      it: 'a header condition wins over query conditions',
      ask: 'GET /q?animal=dolphin&color=blue',
      fields: ['X: 1'],
      gets: d,
    },
    { it: 'a missing parameter', ask: 'GET /q', gets: none },
    { it: 'a wrong value', ask: 'GET /q?animal=cat', gets: none },
    { it: 'names mind case', ask: 'GET /q?Animal=whale', gets: none },
    { it: 'values mind case', ask: 'GET /q?animal=Whale', gets: none },
    { it: 'a part of a value', ask: 'GET /q?animal=whales', gets: none },
    { it: 'of a repeated parameter the first counts', ask: 'GET /q?animal=whale&animal=dolphin', gets: a },
    { it: 'and not the second', ask: 'GET /q?animal=cat&animal=whale', gets: none },
    { it: 'an encoded value is decoded', ask: 'GET /q?animal=%77hale', gets: { ...a, target: '/q?animal=%77hale' } },
    { it: 'an encoded name is decoded', ask: 'GET /q?%61nimal=whale', gets: a },
    { it: 'a plus is a space', ask: 'GET /s?name=a+b', gets: c },
    { it: 'and so is %20', ask: 'GET /s?name=a%20b', gets: c },
    { it: 'presence without a value', ask: 'GET /p?debug', gets: a },
    { it: 'presence with an empty value', ask: 'GET /p?debug=', gets: a },
    { it: 'a regex', ask: 'GET /r?id=42', gets: b },
    { it: 'a regex matches the whole value', ask: 'GET /r?id=42x', gets: none },
  ],
};

export const MATCHING: readonly Topic[] = [paths, roots, hosts, methods, headers, queries];
