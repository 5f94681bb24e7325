import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { versionOf } from '../process.ts';
import type { Contestant } from './contestant.ts';

export const nginx: Contestant = {
  name: 'nginx',
  version: versionOf('nginx', '-v'),
  configure({ dir, port, origins }) {
    const file = join(dir, 'nginx.conf');
    writeFileSync(
      file,
      `daemon off; master_process off; pid ${dir}/nginx.pid; error_log stderr warn;
       events { worker_connections 4096; }
       http {
         access_log off;
         keepalive_requests 1000000000;
         upstream origin {
           least_conn;
           ${origins.map((origin) => `server 127.0.0.1:${origin};`).join(' ')}
           keepalive 64; keepalive_requests 1000000000;
         }
         server {
           listen 127.0.0.1:${port};
           location / {
             proxy_pass http://origin;
             proxy_http_version 1.1;
             proxy_set_header Connection "";
             proxy_set_header Host $http_host;
             proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
           }
         }
       }`,
    );
    return { argv: ['nginx', '-e', 'stderr', '-c', file] };
  },
};
