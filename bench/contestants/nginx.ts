import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { versionOf, type Command } from '../process.ts';
import { keptConnections, type Contestant, type Place } from './contestant.ts';

export const nginx: Contestant = {
  name: 'nginx',
  version: versionOf('nginx', '-v'),
  configure: (place) => nginxCommand(place),
};

const FORWARDING = [
  'proxy_pass http://origin;',
  'proxy_http_version 1.1;',
  'proxy_set_header Connection "";',
  'proxy_set_header Host $http_host;',
  'proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;',
];
const CALLING = ['grpc_pass grpc://origin;', 'grpc_set_header X-Forwarded-For $proxy_add_x_forwarded_for;'];

/** @param location what it does with requests. @param http further directives, such as zones. */
export function nginxCommand(
  place: Place,
  location: readonly string[] = place.grpc === true ? CALLING : FORWARDING,
  http: readonly string[] = [],
): Command {
  const { dir, port, origins, http2 = false, tls } = place;
  const file = join(dir, 'nginx.conf');
  writeFileSync(
    file,
    `daemon off; master_process off; pid ${dir}/nginx.pid; error_log stderr warn;
     events { worker_connections 4096; }
     http {
       access_log off;
       keepalive_requests 1000000000;
       ${http.join(' ')}
       upstream origin {
         least_conn;
         ${origins.map((origin) => `server 127.0.0.1:${origin};`).join(' ')}
         keepalive ${keptConnections(place)}; keepalive_requests 1000000000;
       }
       server {
         listen 127.0.0.1:${port}${tls === undefined ? '' : ' ssl'}${http2 ? ' http2' : ''};
         ${tls === undefined ? '' : `ssl_certificate ${tls.cert}; ssl_certificate_key ${tls.key};`}
         location / {
           ${location.join('\n           ')}
         }
       }
     }`,
  );
  return { argv: ['nginx', '-e', 'stderr', '-c', file] };
}
