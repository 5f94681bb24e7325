/** What a schema cannot say about where a pool's endpoints come from. Nobody is asked: a source may be away. */
import type { SourceDefinitions } from '../discovery/source.ts';
import type { Document } from './document.ts';
import type { Problem } from './problem.ts';
import type { PoolConfig } from './schema.ts';

export function checkDiscovery(
  { name, discover, tls }: PoolConfig,
  document: Document,
  at: string,
  dir: string,
  sources: SourceDefinitions,
): Problem[] {
  if (discover === undefined) {
    if (document.has(`${at}/endpoints`)) return [];
    const message = `pool '${name}' has neither 'endpoints' nor 'discover'`;
    return [document.error(document.keyAt(at), message, 'list its endpoints, or say where they are found')];
  }
  const faults = sources.get(discover.kind)?.check?.(discover, dir) ?? [];
  const problems = faults.map(({ key, message }) =>
    document.error(document.valueAt(`${at}/discover/${key}`), `discover.${key.replaceAll('/', '.')}: ${message}`),
  );
  // Addresses are found, and no certificate names those.
  const isProven = tls?.serverName !== undefined || tls?.subjectAltNames !== undefined || tls?.verify === false;
  if (discover.scheme === 'https' && !isProven) {
    const place = document.valueAt(`${at}/discover/scheme`);
    const message = `pool '${name}' finds addresses of https endpoints, and does not say whom they must prove to be`;
    problems.push(document.error(place, message, 'add tls: { serverName: … }'));
  }
  return problems;
}
