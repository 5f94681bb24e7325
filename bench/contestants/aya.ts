/** Aya in the bench's roles. Each is a directory of the files that a user would write. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from '../process.ts';
import type { Contestant, Place } from './contestant.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };

/** What the other bare contestants do: one route, three endpoints, least connections, X-Forwarded-For. */
export const aya: Contestant = {
  name: 'aya',
  version,
  configure: (place) =>
    ayaCommand(
      place,
      { threads: 1, accessLog: false },
      { 'hello.yaml': `${pool('hello', place)}${route('hello', '/*')}` },
    ),
};

/** Everything that the gateway's core has, switched on. */
export const ayaFull: Contestant = {
  name: 'aya-full',
  version,
  configure(place) {
    const watched = `    balance: least-response-time
    health:
      active: { path: /healthz, interval: 1s, timeout: 1s }
      passive: { consecutiveFailures: 5, ejectFor: 30s, maxEjected: 50% }
`;
    const full = `${pool('hello', place)}${watched}${pool('hello-next', place).replace('pools:\n', '')}${watched}
routes:
  - name: hello
    match: { path: /* }
    split: [{ pool: hello, weight: 95 }, { pool: hello-next, weight: 5 }]
    timeout: { total: 10s, perTry: 3s }
    retry: { attempts: 2, on: [connect, reset, timeout, 502, 503, 504], budget: 20% }
    headers:
      request: { set: { x-env: bench }, remove: [x-internal] }
      response: { set: { x-served-by: aya }, remove: [server] }
`;
    return ayaCommand(place, { threads: 1, accessLog: true }, { 'hello.yaml': full });
  },
};

export interface Process {
  readonly threads: number;
  readonly accessLog: boolean;
}

/** Writes gateway.yaml and routes.d into the place's directory. @param settings further ones of gateway.yaml. */
export function ayaCommand(
  place: Place,
  { threads, accessLog }: Process,
  files: Readonly<Record<string, string>>,
  settings = '',
): Command {
  const { tls } = place;
  const routesDir = join(place.dir, 'routes.d');
  // Another scenario may have been here.
  rmSync(routesDir, { recursive: true, force: true });
  mkdirSync(routesDir, { recursive: true });
  writeFileSync(
    join(place.dir, 'gateway.yaml'),
    `# All of the load comes from one address.
listen: [{ host: 127.0.0.1, port: ${place.port}, limits: { connectionsPerClient: 10000 }${tls === undefined ? '' : `, tls: { cert: ${tls.cert}, key: ${tls.key} }`} }]
threads: ${threads}
admin: { port: 0 }
drain: { delay: 0ms, timeout: 1s }
accessLog: { enabled: ${accessLog} }
${settings}`,
  );
  for (const [name, text] of Object.entries(files)) writeFileSync(join(routesDir, name), text);
  return { argv: [process.execPath, join(root, 'src/main.ts'), 'start', place.dir] };
}

export function pool(name: string, { origins, grpc = false }: Place): string {
  return `pools:
  ${name}:
    endpoints: [${origins.map((port) => `http://127.0.0.1:${port}`).join(', ')}]
${grpc ? '    http2: true\n' : ''}`;
}

function route(name: string, path: string): string {
  return `routes:
  - { name: ${name}, match: { path: ${path} }, pool: ${name}, retry: false }
`;
}

/**
 * `count` routes, `/service-0/*` and on, in files of a hundred, as a fleet has them; `revision` goes out with each
 * answer, so that a client sees which generation served it.
 */
export function fleet(place: Place, count: number, revision?: string): Record<string, string> {
  const files: Record<string, string> = { 'pools.yaml': pool('hello', place) };
  for (let first = 0; first < count; first += 100) {
    files[`services-${first / 100}.yaml`] = fleetFile(first, Math.min(first + 100, count), revision);
  }
  return files;
}

export function fleetFile(first: number, end: number, revision?: string): string {
  const headers = revision === undefined ? '' : `, headers: { response: { set: { x-revision: "${revision}" } } }`;
  let text = 'routes:\n';
  for (let index = first; index < end; index++) {
    text += `  - { name: service-${index}, match: { path: /service-${index}/* }, pool: hello, retry: false${headers} }\n`;
  }
  return text;
}
