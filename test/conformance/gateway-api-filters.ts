/** The other half of gateway-api-cases.ts: what a route does to the request and to the answer. */
import type { Topic } from './gateway-api-cases.ts';

const redirects: Topic = {
  topic: 'redirects',
  host: 'redirects.test',
  routes: [
    { name: 'redirect-host', match: { path: '/host/*' }, redirect: { host: 'example.org' } },
    { name: 'redirect-status', match: { path: '/status' }, redirect: { host: 'example.org', status: 301 } },
    { name: 'redirect-303', match: { path: '/303' }, redirect: { path: '/x', status: 303 } },
    { name: 'redirect-307', match: { path: '/307' }, redirect: { path: '/x', status: 307 } },
    { name: 'redirect-308', match: { path: '/308' }, redirect: { path: '/x', status: 308 } },
    { name: 'redirect-scheme', match: { path: '/scheme' }, redirect: { scheme: 'https' } },
    { name: 'redirect-scheme-port', match: { path: '/scheme-port' }, redirect: { scheme: 'https', port: 8443 } },
    { name: 'redirect-scheme-443', match: { path: '/scheme-443' }, redirect: { scheme: 'https', port: 443 } },
    { name: 'redirect-port', match: { path: '/port' }, redirect: { port: 8083 } },
    { name: 'redirect-port-80', match: { path: '/port-80' }, redirect: { port: 80 } },
    { name: 'redirect-path', match: { path: '/full/*' }, redirect: { path: '/replaced' } },
    { name: 'redirect-prefix', match: { path: '/prefix/*' }, redirect: { prefix: '/new' } },
    { name: 'redirect-prefix-root', match: { path: '/drop/*' }, redirect: { prefix: '/' } },
    { name: 'redirect-host-prefix', match: { path: '/both/*' }, redirect: { host: 'example.org', prefix: '/new' } },
    { name: 'redirect-to', match: { path: '/to' }, redirect: { to: 'https://docs.example.com/x', status: 301 } },
  ],
  asks: [
    { it: 'to a host keeps the path', ask: 'GET /host/a/b', gets: redirect(302, 'http://example.org/host/a/b') },
    { it: 'to a host keeps the query', ask: 'GET /host/a?b=c', gets: redirect(302, 'http://example.org/host/a?b=c') },
    { it: '302 unless told', ask: 'GET /host', gets: { status: 302 } },
    { it: '301 when told', ask: 'GET /status', gets: redirect(301, 'http://example.org/status') },
    { it: '303', ask: 'POST /303', gets: redirect(303, 'http://redirects.test/x') },
    { it: '307', ask: 'POST /307', gets: redirect(307, 'http://redirects.test/x') },
    { it: '308', ask: 'POST /308', gets: redirect(308, 'http://redirects.test/x') },
    {
      it: 'to https takes its own port',
      ask: 'GET /scheme',
      host: 'redirects.test:8080',
      gets: redirect(302, 'https://redirects.test/scheme'),
    },
    {
      it: 'to https and a port',
      ask: 'GET /scheme-port',
      gets: redirect(302, 'https://redirects.test:8443/scheme-port'),
    },
    {
      it: 'the port of the scheme is not written',
      ask: 'GET /scheme-443',
      gets: redirect(302, 'https://redirects.test/scheme-443'),
    },
    { it: 'to a port', ask: 'GET /port', gets: redirect(302, 'http://redirects.test:8083/port') },
    {
      it: 'to port 80 of http is not written',
      ask: 'GET /port-80',
      host: 'redirects.test:8080',
      gets: redirect(302, 'http://redirects.test/port-80'),
    },
    { it: 'to a whole path', ask: 'GET /full/a/b', gets: redirect(302, 'http://redirects.test/replaced') },
    {
      it: 'a whole path keeps the query',
      ask: 'GET /full/a?b=c',
      gets: redirect(302, 'http://redirects.test/replaced?b=c'),
    },
    {
      it: 'a path redirect keeps the port that was asked',
      ask: 'GET /full/a',
      host: 'redirects.test:8080',
      gets: redirect(302, 'http://redirects.test:8080/replaced'),
    },
    { it: 'to a prefix', ask: 'GET /prefix/a/b', gets: redirect(302, 'http://redirects.test/new/a/b') },
    { it: 'to a prefix, for the prefix itself', ask: 'GET /prefix', gets: redirect(302, 'http://redirects.test/new') },
    { it: 'to a prefix, with a slash', ask: 'GET /prefix/', gets: redirect(302, 'http://redirects.test/new/') },
    { it: 'to the root', ask: 'GET /drop/a/b', gets: redirect(302, 'http://redirects.test/a/b') },
    { it: 'to the root, for the prefix itself', ask: 'GET /drop', gets: redirect(302, 'http://redirects.test/') },
    { it: 'to a host and a prefix', ask: 'GET /both/a', gets: redirect(302, 'http://example.org/new/a') },
    { it: 'to a whole URL', ask: 'GET /to', gets: redirect(301, 'https://docs.example.com/x') },
    { it: 'answers HEAD alike', ask: 'HEAD /status', gets: redirect(301, 'http://example.org/status') },
  ],
};

function redirect(status: number, location: string) {
  return { status, answer: { location } };
}

const rewrites: Topic = {
  topic: 'rewrites',
  host: 'rewrites.test',
  routes: [
    { name: 'rewrite-prefix', match: { path: '/prefix/one/*' }, pool: 'a', rewrite: { prefix: '/one' } },
    { name: 'rewrite-prefix-slash', match: { path: '/slash/*' }, pool: 'a', rewrite: { prefix: '/new/' } },
    { name: 'rewrite-root', match: { path: '/root/*' }, pool: 'a', rewrite: { prefix: '/' } },
    { name: 'rewrite-full', match: { path: '/full/*' }, pool: 'a', rewrite: { path: '/whole' } },
    { name: 'rewrite-host', match: { path: '/host' }, pool: 'a', rewrite: { host: 'inside.test' } },
    {
      name: 'rewrite-host-path',
      match: { path: '/both/*' },
      pool: 'b',
      rewrite: { host: 'inside.test', prefix: '/in' },
    },
    { name: 'rewrite-strip', match: { path: '/strip/*' }, pool: 'a', rewrite: { stripPrefix: true } },
    { name: 'rewrite-add', match: { path: '/add/*' }, pool: 'a', rewrite: { addPrefix: '/v1' } },
    {
      name: 'rewrite-regex',
      match: { path: '/user/*' },
      pool: 'a',
      rewrite: { regex: '^/user/([0-9]+)$', to: '/u/$1' },
    },
    {
      name: 'rewrite-from-root',
      match: { host: 'all.rewrites.test', path: '/*' },
      pool: 'a',
      rewrite: { prefix: '/base' },
    },
  ],
  asks: [
    { it: 'a prefix is replaced', ask: 'GET /prefix/one/two', gets: { pool: 'a', target: '/one/two' } },
    { it: 'for the prefix itself', ask: 'GET /prefix/one', gets: { pool: 'a', target: '/one' } },
    { it: 'with a slash behind', ask: 'GET /prefix/one/', gets: { pool: 'a', target: '/one/' } },
    { it: 'the query stays', ask: 'GET /prefix/one/two?x=1', gets: { pool: 'a', target: '/one/two?x=1' } },
    { it: 'a slash of the replacement is not doubled', ask: 'GET /slash/x', gets: { pool: 'a', target: '/new/x' } },
    { it: 'by the root', ask: 'GET /root/x/y', gets: { pool: 'a', target: '/x/y' } },
    { it: 'by the root, for the prefix itself', ask: 'GET /root', gets: { pool: 'a', target: '/' } },
    { it: 'by the root, with a query', ask: 'GET /root?x=1', gets: { pool: 'a', target: '/?x=1' } },
    { it: 'of the root', ask: 'GET /x', host: 'all.rewrites.test', gets: { pool: 'a', target: '/base/x' } },
    { it: 'of the root itself', ask: 'GET /', host: 'all.rewrites.test', gets: { pool: 'a', target: '/base/' } },
    { it: 'the whole path', ask: 'GET /full/x/y', gets: { pool: 'a', target: '/whole' } },
    { it: 'the whole path keeps the query', ask: 'GET /full/x?y=z', gets: { pool: 'a', target: '/whole?y=z' } },
    { it: 'the host', ask: 'GET /host', gets: { pool: 'a', target: '/host', upstream: { host: 'inside.test' } } },
    {
      it: 'the host, and the client’s is told',
      ask: 'GET /host',
      gets: { pool: 'a', upstream: { 'x-forwarded-host': 'rewrites.test' } },
    },
    {
      it: 'host and path',
      ask: 'GET /both/x',
      gets: { pool: 'b', target: '/in/x', upstream: { host: 'inside.test' } },
    },
    { it: 'a prefix is stripped', ask: 'GET /strip/x', gets: { pool: 'a', target: '/x' } },
    { it: 'a prefix is stripped to the root', ask: 'GET /strip', gets: { pool: 'a', target: '/' } },
    { it: 'a prefix is added', ask: 'GET /add/x', gets: { pool: 'a', target: '/v1/add/x' } },
    { it: 'by a regex', ask: 'GET /user/42', gets: { pool: 'a', target: '/u/42' } },
    { it: 'a regex that does not match changes nothing', ask: 'GET /user/x', gets: { pool: 'a', target: '/user/x' } },
  ],
};

const fields: Topic = {
  topic: 'header modification',
  host: 'fields.test',
  routes: [
    { name: 'fields-set', match: { path: '/set' }, pool: 'a', headers: { request: { set: { 'X-Set': 'set' } } } },
    { name: 'fields-add', match: { path: '/add' }, pool: 'a', headers: { request: { add: { 'X-Add': 'added' } } } },
    { name: 'fields-remove', match: { path: '/remove' }, pool: 'a', headers: { request: { remove: ['X-Remove'] } } },
    {
      name: 'fields-all',
      match: { path: '/all' },
      pool: 'a',
      headers: {
        request: {
          set: { 'X-Set': 'set', 'X-Set-2': 'two' },
          add: { 'X-Add': 'added' },
          remove: ['X-Remove', 'x-remove-2'],
        },
      },
    },
    {
      name: 'fields-answer-set',
      match: { path: '/answer-set' },
      pool: 'a',
      headers: { response: { set: { 'X-From-Upstream': 'set', 'X-New': 'new' } } },
    },
    {
      name: 'fields-answer-add',
      match: { path: '/answer-add' },
      pool: 'a',
      headers: { response: { add: { 'X-From-Upstream': 'added', 'X-New': 'new' } } },
    },
    {
      name: 'fields-answer-remove',
      match: { path: '/answer-remove' },
      pool: 'a',
      headers: { response: { remove: ['x-from-upstream'] } },
    },
    { name: 'fields-none', match: { path: '/none' }, pool: 'a' },
  ],
  asks: [
    { it: 'set adds what is not there', ask: 'GET /set', gets: { pool: 'a', upstream: { 'x-set': 'set' } } },
    {
      it: 'set replaces what is',
      ask: 'GET /set',
      fields: ['X-Set: client'],
      gets: { pool: 'a', upstream: { 'x-set': 'set' } },
    },
    {
      it: 'set replaces all',
      ask: 'GET /set',
      fields: ['X-Set: 1', 'x-set: 2'],
      gets: { pool: 'a', upstream: { 'x-set': 'set' } },
    },
    { it: 'add adds what is not there', ask: 'GET /add', gets: { pool: 'a', upstream: { 'x-add': 'added' } } },
    {
      it: 'add keeps what is',
      ask: 'GET /add',
      fields: ['X-Add: client'],
      gets: { pool: 'a', upstream: { 'x-add': 'client|added' } },
    },
    {
      it: 'remove removes',
      ask: 'GET /remove',
      fields: ['X-Remove: 1'],
      gets: { pool: 'a', upstream: { 'x-remove': null } },
    },
    {
      it: 'remove does not mind case',
      ask: 'GET /remove',
      fields: ['x-REMOVE: 1', 'X-Keep: 2'],
      gets: { pool: 'a', upstream: { 'x-remove': null, 'x-keep': '2' } },
    },
    {
      it: 'all of them together',
      ask: 'GET /all',
      fields: ['X-Set: 1', 'X-Add: 1', 'X-Remove: 1', 'X-Remove-2: 1', 'X-Kept: 1'],
      gets: {
        pool: 'a',
        upstream: {
          'x-set': 'set',
          'x-set-2': 'two',
          'x-add': '1|added',
          'x-remove': null,
          'x-remove-2': null,
          'x-kept': '1',
        },
      },
    },
    {
      it: 'set on the answer',
      ask: 'GET /answer-set',
      gets: { pool: 'a', answer: { 'x-from-upstream': 'set', 'x-new': 'new' } },
    },
    {
      it: 'add on the answer',
      ask: 'GET /answer-add',
      gets: { pool: 'a', answer: { 'x-from-upstream': 'upstream|added', 'x-new': 'new' } },
    },
    { it: 'remove on the answer', ask: 'GET /answer-remove', gets: { pool: 'a', answer: { 'x-from-upstream': null } } },
    {
      it: 'no rule, no change',
      ask: 'GET /none',
      fields: ['X-Set: 1'],
      gets: {
        pool: 'a',
        upstream: { 'x-set': '1' },
        answer: { 'x-from-upstream': 'upstream', 'set-cookie': 'a=1|b=2' },
      },
    },
  ],
};

const splits: Topic = {
  topic: 'splits',
  host: 'splits.test',
  routes: [
    {
      name: 'split-branches',
      match: { path: '/branches/*' },
      split: [
        {
          pool: 'a',
          weight: 1,
          rewrite: { prefix: '/to-a' },
          headers: { request: { set: { 'x-branch': 'a' } }, response: { set: { 'x-branch': 'a' } } },
        },
        { pool: 'b', weight: 0 },
      ],
    },
    {
      name: 'split-other-branch',
      match: { path: '/other/*' },
      split: [
        { pool: 'a', weight: 0, rewrite: { prefix: '/to-a' }, headers: { request: { set: { 'x-branch': 'a' } } } },
        { pool: 'b', weight: 1 },
      ],
    },
    {
      name: 'split-zero',
      match: { path: '/zero' },
      split: [
        { pool: 'a', weight: 0 },
        { pool: 'b', weight: 1 },
      ],
    },
    {
      name: 'split-both-filters',
      match: { path: '/both' },
      headers: { request: { set: { 'x-route': '1' } } },
      split: [{ pool: 'c', weight: 1, headers: { request: { set: { 'x-branch': 'c' } } } }],
    },
    { name: 'split-nothing', match: { path: '/nothing' }, pool: 'none' },
  ],
  asks: [
    {
      it: 'a rewrite on a branch applies to it',
      ask: 'GET /branches/x',
      gets: { pool: 'a', target: '/to-a/x', upstream: { 'x-branch': 'a' }, answer: { 'x-branch': 'a' } },
    },
    {
      it: 'and to it alone',
      ask: 'GET /other/x',
      gets: { pool: 'b', target: '/other/x', upstream: { 'x-branch': null } },
    },
    { it: 'a weight of zero takes nothing', ask: 'GET /zero', gets: { pool: 'b' } },
    {
      it: 'filters of the route and of the branch both apply',
      ask: 'GET /both',
      gets: { pool: 'c', upstream: { 'x-route': '1', 'x-branch': 'c' } },
    },
    { it: 'a pool without endpoints is 503 and says when to come back', ask: 'GET /nothing', gets: { status: 503 } },
  ],
};

export const FILTERS: readonly Topic[] = [redirects, rewrites, fields, splits];
