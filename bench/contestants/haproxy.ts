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
  { dir, port, origins }: Place,
  rules: readonly string[] = [],
  backends: readonly string[] = [],
): Command {
  const file = join(dir, 'haproxy.cfg');
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
    `  bind 127.0.0.1:${port}`,
    ...rules.map((rule) => `  ${rule}`),
    '  default_backend origin',
    'backend origin',
    '  balance leastconn',
    ...origins.map((origin, index) => `  server origin-${index} 127.0.0.1:${origin}`),
  ];
  writeFileSync(file, `${lines.join('\n')}\n`);
  return { argv: ['haproxy', '-db', '-f', file] };
}
