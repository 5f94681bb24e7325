/**
 * The fleet behind every contestant: three endpoints that answer as fast as can be, on the load's processor, so that
 * what is measured is the proxy. nginx where it is installed, else node.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ANSWER, SIZES } from './answer.ts';
import { answering, freePorts, LOAD_CORE, start, versionOf, type Command, type Running } from './process.ts';

const ENDPOINTS = 3;

export interface Origin extends Running {
  readonly ports: readonly number[];
}

export const originVersion = versionOf('nginx', '-v');

export async function startOrigin(dir: string): Promise<Origin> {
  const ports = await freePorts(ENDPOINTS);
  const command = originVersion === undefined ? node(ports) : nginx(dir, ports);
  const origin = start('origin', command, dir, LOAD_CORE);
  for (const port of ports) await answering('origin', origin, `http://127.0.0.1:${port}/`, dir);
  return { ...origin, ports };
}

function node(ports: readonly number[]): Command {
  return { argv: [process.execPath, fileURLToPath(new URL('peers/answer.ts', import.meta.url)), ...ports.map(String)] };
}

function nginx(dir: string, ports: readonly number[]): Command {
  mkdirSync(join(dir, 'www'), { recursive: true });
  for (const [path, bytes] of Object.entries(SIZES)) writeFileSync(join(dir, 'www', path), Buffer.alloc(bytes, '.'));
  writeFileSync(
    join(dir, 'origin.conf'),
    `daemon off; master_process off; pid ${dir}/origin.pid; error_log stderr warn;
     events { worker_connections 4096; }
     http {
       access_log off;
       keepalive_requests 1000000000; keepalive_timeout 600s;
       default_type application/json;
       sendfile on; tcp_nopush on; open_file_cache max=10;
       server {
         ${ports.map((port) => `listen 127.0.0.1:${port};`).join(' ')}
         location / { return 200 '${ANSWER}'; }
         ${Object.keys(SIZES)
           .map((path) => `location = ${path} { root ${dir}/www; }`)
           .join('\n         ')}
       }
     }`,
  );
  return { argv: ['nginx', '-e', 'stderr', '-c', join(dir, 'origin.conf')] };
}
