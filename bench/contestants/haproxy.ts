import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { versionOf } from '../process.ts';
import type { Contestant } from './contestant.ts';

export const haproxy: Contestant = {
  name: 'haproxy',
  version: versionOf('haproxy', '-v'),
  configure({ dir, port, origins }) {
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
      'frontend clients',
      `  bind 127.0.0.1:${port}`,
      '  default_backend origin',
      'backend origin',
      '  balance leastconn',
      ...origins.map((origin, index) => `  server origin-${index} 127.0.0.1:${origin}`),
    ];
    writeFileSync(file, `${lines.join('\n')}\n`);
    return { argv: ['haproxy', '-db', '-f', file] };
  },
};
