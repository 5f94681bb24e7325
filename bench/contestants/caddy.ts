import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { versionOf } from '../process.ts';
import { keptConnections, type Contestant } from './contestant.ts';

/** It adds X-Forwarded-For, keeps connections alive and logs no access by itself; Go takes one processor where it is pinned. */
export const caddy: Contestant = {
  name: 'caddy',
  version: versionOf('caddy', 'version'),
  configure(place) {
    const { dir, port, origins, http2 = false, tls, grpc = false } = place;
    const scheme = tls === undefined ? 'http' : 'https';
    const protocols = http2 ? (tls === undefined ? 'h1 h2c' : 'h1 h2') : 'h1';
    const file = join(dir, 'Caddyfile');
    writeFileSync(
      file,
      `{
         admin off
         auto_https off
         servers {
           protocols ${protocols}
         }
       }
       ${scheme}://127.0.0.1:${port} {
         ${tls === undefined ? '' : `tls ${tls.cert} ${tls.key}`}
         reverse_proxy ${origins.map((origin) => `127.0.0.1:${origin}`).join(' ')} {
           lb_policy least_conn
           transport http {
             keepalive_idle_conns_per_host ${keptConnections(place)}
             ${grpc ? 'versions h2c' : ''}
           }
         }
       }`,
    );
    return {
      argv: ['caddy', 'run', '--adapter', 'caddyfile', '--config', file],
      env: { XDG_DATA_HOME: dir, XDG_CONFIG_HOME: dir },
    };
  },
};
