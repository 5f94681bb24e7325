import { describe, expect, it } from 'vitest';
import { diff } from './diff.ts';
import { scanLanguage } from './language.ts';
import { assemble } from './load.ts';
import type { Config } from './schema.ts';

const language = await scanLanguage();

function config(routes: string, gateway = ''): Config {
  const sources = [
    { file: 'gateway.yaml', bytes: Buffer.from(gateway) },
    { file: 'routes.d/a.yaml', bytes: Buffer.from(routes) },
  ];
  return assemble('/etc/aya', sources, { language }).config!;
}

const ONE = 'pools: { a: { endpoints: [http://a, http://b] } }\nroutes: [{ name: r, match: { path: /r }, pool: a }]';
const nothingElse = { paths: [], restart: [] };

describe('what a reload changes', () => {
  it('nothing, when only lines moved', () => {
    expect(diff(config(ONE), config(`# moved\n${ONE}`))).toEqual([]);
  });

  it('names what a pool and a route have changed, down to the key', () => {
    const after = ONE.replace('http://b] }', 'http://b], connections: { max: 3 } }').replace(
      'pool: a }]',
      'pool: a, timeout: { head: 1s } }]',
    );
    expect(diff(config(ONE), config(after))).toEqual([
      { kind: 'pool', name: 'a', change: 'changed', paths: ['connections.max'], restart: [] },
      { kind: 'route', name: 'r', change: 'changed', paths: ['timeout.head'], restart: [] },
    ]);
  });

  it('tells endpoints that came, went and changed from their pool', () => {
    const after = ONE.replace('[http://a, http://b]', '[{ url: http://a, weight: 2 }, http://c]');
    expect(diff(config(ONE), config(after))).toEqual([
      { kind: 'endpoint', name: 'a http://a', change: 'changed', paths: ['weight'], restart: [] },
      { kind: 'endpoint', name: 'a http://c', change: 'added', ...nothingElse },
      { kind: 'endpoint', name: 'a http://b', change: 'removed', ...nothingElse },
    ]);
  });

  it('says which settings of the gateway wait for a restart', () => {
    const after = 'threads: 2\nlisten: [{ port: 81 }]\ndrain: { delay: 1s }\nmetrics: { maxRoutes: 5 }';
    expect(diff(config(ONE), config(ONE, after))).toEqual([
      {
        kind: 'gateway',
        name: '',
        change: 'changed',
        paths: ['listen.0.port', 'threads', 'drain.delay', 'metrics.maxRoutes'],
        restart: ['listen.0.port', 'threads', 'metrics.maxRoutes'],
      },
    ]);
  });
});
