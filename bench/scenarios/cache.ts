/** What a stored answer costs, beside nginx's proxy_cache, Varnish, and a server that has the answer in its own code. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { aya, ayaCommand, pool } from '../contestants/aya.ts';
import type { Contestant } from '../contestants/contestant.ts';
import { floor } from '../contestants/floor.ts';
import { nginx, nginxCommand } from '../contestants/nginx.ts';
import { versionOf } from '../process.ts';
import { race, type Result } from '../race.ts';
import { compared, costs, type Budget, type Findings, type Scenario } from './scenario.ts';

export const cache: Scenario = {
  name: 'cache',
  title: 'The small answer from the cache',
  async run(bench) {
    const contestants = [floor, ayaCached, nginxCached, varnish, aya];
    return findings(
      await race(
        contestants.map((contestant) => ({ ...contestant, path: '/' })),
        bench,
      ),
    );
  },
};

const ayaCached: Contestant = {
  ...aya,
  name: 'aya-cached',
  configure(place) {
    const route = `routes:
  - { name: hello, match: { path: /* }, pool: hello, retry: false, cache: { ttl: 1h } }
`;
    return ayaCommand(place, { threads: 1, accessLog: false }, { 'hello.yaml': pool('hello', place) + route });
  },
};

const nginxCached: Contestant = {
  ...nginx,
  name: 'nginx-cached',
  configure(place) {
    const zone = `proxy_cache_path ${place.dir}/cache levels=1:2 keys_zone=answers:16m max_size=64m;`;
    const location = [
      'proxy_pass http://origin;',
      'proxy_http_version 1.1;',
      'proxy_set_header Connection "";',
      'proxy_set_header Host $http_host;',
      'proxy_cache answers;',
      'proxy_cache_valid 200 1h;',
      'proxy_cache_lock on;',
    ];
    return nginxCommand(place, location, [zone]);
  },
};

const varnish: Contestant = {
  name: 'varnish',
  version: versionOf('varnishd', '-V'),
  configure({ dir, port, origins }) {
    const file = join(dir, 'default.vcl');
    writeFileSync(
      file,
      `vcl 4.0;
       backend origin { .host = "127.0.0.1"; .port = "${origins[0]}"; }
       sub vcl_backend_response { set beresp.ttl = 1h; }
`,
    );
    return { argv: ['varnishd', '-F', '-n', dir, '-a', `127.0.0.1:${port}`, '-f', file, '-s', 'malloc,64m'] };
  },
};

function findings(results: readonly Result[]): Findings {
  const cost = costs(results);
  const budgets: Budget[] = [
    { promise: 'a cache hit to the node:http floor', atMost: 1.5, found: cost('aya-cached') / cost('floor') },
  ];
  return {
    ...compared(results, 'to the floor', cost('floor')),
    budgets,
    figures: results,
  };
}
