/**
 * The peers as a careful operator would set them up in front of a service that may break: what each can do of health checks,
 * ejection, retries, deadlines and bounds, with the same figures wherever it knows the setting. A connect or an answer's head
 * may take a second; two further tries; a GET is tried again whatever happened, a POST only while nothing was sent; three
 * failures take an endpoint out for three seconds.
 */
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { aya as bareAya, ayaCommand } from '../contestants/aya.ts';
import { caddy as bareCaddy } from '../contestants/caddy.ts';
import type { Place } from '../contestants/contestant.ts';
import { haproxy as bareHaproxy } from '../contestants/haproxy.ts';
import { nginx as bareNginx } from '../contestants/nginx.ts';
import { freePorts, type Command } from '../process.ts';

/**
 * What an endpoint may have at a time, waiting there included: eight times what it works on. Beyond it the next is asked, or
 * nobody; where the proxy has a queue, requests wait in that for up to a second.
 */
const MOST_IN_FLIGHT = 16;

export interface Guarded {
  readonly name: string;
  readonly version: string | undefined;
  /** The only fault that it is about; all without one. */
  readonly fault?: string;
  /** Writes its configuration and says how to start it. */
  configure(place: Place): Promise<Command>;
  /** Has it serve another configuration, in the way its manual says; resolves when it was told. */
  reload(place: Place, pid: number, revision: number): Promise<void>;
}

/** An editor's save: whoever reads sees the old file or the new one. */
function replace(file: string, text: string): void {
  writeFileSync(`${file}.next`, text);
  renameSync(`${file}.next`, file);
}

const servers = (place: Place, line: (address: string, at: number) => string) =>
  place.origins.map((port, at) => line(`127.0.0.1:${port}`, at)).join('\n');

// --- Aya ---

/** Whose operator knows what the service takes says so. */
const KNOWN_LIMIT = `perEndpoint: ${MOST_IN_FLIGHT}`;

const ayaRoute = (place: Place, revision: number, limit = KNOWN_LIMIT) => `pools:
  hello:
    endpoints: [${place.origins.map((port) => `http://127.0.0.1:${port}`).join(', ')}]
    health:
      active: { path: /healthz, interval: 1s, fastInterval: 1s, timeout: 1s, unhealthyAfter: 2 }
      passive: { consecutiveFailures: 3, ejectFor: 3s }
    connections: { max: ${MOST_IN_FLIGHT}, connectTimeout: 1s }
    maxInFlight: { ${limit}, queue: { max: 500, timeout: 1s } }
    balance: least-response-time
routes:
  - name: hello
    match: { path: /* }
    pool: hello
    timeout: { head: 3s, perTry: 1s }
    retry: { attempts: 2, on: [connect, reset, timeout, 502, 503, 504] }
    headers: { response: { set: { x-revision: "${revision}" } } }
`;

const aya: Guarded = {
  name: 'aya',
  version: bareAya.version,
  configure: async (place) => ayaCommand(place, { threads: 1, accessLog: false }, { 'hello.yaml': ayaRoute(place, 0) }),
  async reload(place, _pid, revision) {
    replace(join(place.dir, 'routes.d', 'hello.yaml'), ayaRoute(place, revision)); // it watches
  },
};

/** One who does not know has it found. Nothing else differs, so it runs only where that matters. */
const ayaAdaptive: Guarded = {
  ...aya,
  name: 'aya-adaptive',
  fault: 'overload',
  configure: async (place) =>
    ayaCommand(place, { threads: 1, accessLog: false }, { 'hello.yaml': ayaRoute(place, 0, 'adaptive: { min: 4 }') }),
};

// --- nginx: no active checks, no queue, in the free edition ---

const nginxFile = (place: Place, revision: number) => `
daemon off; worker_processes 1; pid ${place.dir}/nginx.pid; error_log stderr crit;
events { worker_connections 4096; }
http {
  access_log off;
  upstream origin {
    zone origin 64k;
    least_conn;
    ${servers(place, (address) => `server ${address} max_fails=3 fail_timeout=3s max_conns=${MOST_IN_FLIGHT};`)}
    keepalive 16;
  }
  server {
    listen 127.0.0.1:${place.port};
    location / {
      proxy_pass http://origin;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_connect_timeout 1s;
      proxy_read_timeout 1s;
      proxy_next_upstream error timeout http_502 http_503 http_504;
      proxy_next_upstream_tries 3;
      proxy_next_upstream_timeout 3s;
      add_header x-revision ${revision};
    }
  }
}
`;

const nginx: Guarded = {
  name: 'nginx',
  version: bareNginx.version,
  async configure(place) {
    const file = join(place.dir, 'nginx.conf');
    replace(file, nginxFile(place, 0));
    return { argv: ['nginx', '-e', 'stderr', '-c', file] };
  },
  async reload(place, pid, revision) {
    replace(join(place.dir, 'nginx.conf'), nginxFile(place, revision));
    process.kill(pid, 'SIGHUP');
  },
};

// --- HAProxy ---

const haproxyFile = (place: Place, revision: number) => `
global
  nbthread 1
  hard-stop-after 10s
defaults
  mode http
  option forwardfor
  http-reuse always
  timeout connect 1s
  timeout client 65s
  timeout server 1s
  timeout queue 1s
  retries 2
  option redispatch 1
  retry-on conn-failure empty-response response-timeout 502 503 504
frontend clients
  bind 127.0.0.1:${place.port}
  http-response set-header x-revision ${revision}
  default_backend origin
backend origin
  balance leastconn
  option httpchk GET /healthz
  # A POST may have been booked: only a connection that failed is tried again.
  http-request disable-l7-retry if METH_POST
  default-server check inter 1s fall 2 rise 2 maxconn ${MOST_IN_FLIGHT} observe layer7 error-limit 3 on-error mark-down
${servers(place, (address, at) => `  server origin-${at} ${address}`)}
`;

const haproxy: Guarded = {
  name: 'haproxy',
  version: bareHaproxy.version,
  async configure(place) {
    const file = join(place.dir, 'haproxy.cfg');
    replace(file, haproxyFile(place, 0));
    return { argv: ['haproxy', '-W', '-db', '-f', file] };
  },
  async reload(place, pid, revision) {
    replace(join(place.dir, 'haproxy.cfg'), haproxyFile(place, revision));
    process.kill(pid, 'SIGUSR2');
  },
};

// --- Caddy ---

const admins = new Map<string, number>();

const caddyFile = (place: Place, revision: number) => `{
  admin 127.0.0.1:${admins.get(place.dir)}
  auto_https off
  servers {
    protocols h1
  }
}
http://127.0.0.1:${place.port} {
  header x-revision ${revision}
  reverse_proxy ${servers(place, (address) => address).replaceAll('\n', ' ')} {
    lb_policy least_conn
    lb_retries 2
    lb_try_duration 2s
    lb_try_interval 20ms
    health_uri /healthz
    health_interval 1s
    health_timeout 1s
    fail_duration 3s
    max_fails 3
    unhealthy_request_count ${MOST_IN_FLIGHT}
    transport http {
      dial_timeout 1s
      response_header_timeout 1s
      keepalive_idle_conns_per_host 16
    }
  }
}
`;

const caddy: Guarded = {
  name: 'caddy',
  version: bareCaddy.version,
  async configure(place) {
    const [admin = 0] = await freePorts(1);
    admins.set(place.dir, admin);
    const file = join(place.dir, 'Caddyfile');
    replace(file, caddyFile(place, 0));
    return {
      argv: ['caddy', 'run', '--adapter', 'caddyfile', '--config', file],
      env: { XDG_DATA_HOME: place.dir, XDG_CONFIG_HOME: place.dir },
    };
  },
  async reload(place, _pid, revision) {
    const response = await fetch(`http://127.0.0.1:${admins.get(place.dir)}/load`, {
      method: 'POST',
      headers: { 'content-type': 'text/caddyfile' },
      body: caddyFile(place, revision),
    });
    if (!response.ok) throw new Error(`caddy refused its configuration: ${await response.text()}`);
  },
};

export const CONTESTANTS: readonly Guarded[] = [aya, ayaAdaptive, nginx, haproxy, caddy];
