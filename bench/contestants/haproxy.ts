import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { versionOf, type Command } from '../process.ts';
import type { Contestant, Place } from './contestant.ts';

export const haproxy: Contestant = {
  name: 'haproxy',
  version: versionOf('haproxy', '-v'),
  configure: (place) => haproxyCommand(place),
};

/** @param rules of the frontend. @param backends further ones, such as stick tables. */
export function haproxyCommand(
  { dir, port, origins, http2 = false, tls, grpc = false }: Place,
  rules: readonly string[] = [],
  backends: readonly string[] = [],
): Command {
  const file = join(dir, 'haproxy.cfg');
  const protocol =
    tls === undefined ? (http2 ? ' proto h2' : '') : ` ssl crt ${tls.pem} alpn ${http2 ? 'h2' : 'http/1.1'}`;
  const lines = [
    'global',
    '  nbthread 1',
    'defaults',
    '  mode http',
    '  option forwardfor',
    '  http-reuse always',
    '  timeout connect 2s',
    '  timeout client 65s',
    '  timeout server 15s',
    ...backends,
    'frontend clients',
    `  bind 127.0.0.1:${port}${protocol}`,
    ...rules.map((rule) => `  ${rule}`),
    '  default_backend origin',
    'backend origin',
    '  balance leastconn',
    ...origins.map((origin, index) => `  server origin-${index} 127.0.0.1:${origin}${grpc ? ' proto h2' : ''}`),
  ];
  writeFileSync(file, `${lines.join('\n')}\n`);
  return { argv: ['haproxy', '-db', '-f', file] };
}
