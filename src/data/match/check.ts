/** What is wrong with a match that its schema cannot say: patterns that no host, path, regex or network can be. */
import type { MatchConfig } from '../../config/schema.ts';
import type { ConfigFault } from '../../extension.ts';
import { compileClient } from './conditions.ts';
import { readGrpc } from './grpc.ts';
import { compileHost } from './host-pattern.ts';
import { compilePath } from './path-pattern.ts';
import { compileRegex } from './regex.ts';

/** All faults, each with its path below the match. */
export function checkMatch(match: MatchConfig): readonly ConfigFault[] {
  const faults: ConfigFault[] = [];
  const tryTo = (path: ConfigFault['path'], compile: () => unknown): void => {
    try {
      compile();
    } catch (error) {
      faults.push({ path, message: error instanceof Error ? error.message : String(error) });
    }
  };

  const { host, path, client } = match;
  if (Array.isArray(host)) host.forEach((text, index) => tryTo(['host', index], () => compileHost(text)));
  else if (host !== undefined) tryTo(['host'], () => compileHost(host));

  faults.push(...grpcFaults(match));
  tryTo(typeof path === 'object' ? ['path', 'regex'] : ['path'], () => compilePath(path));

  for (const source of ['headers', 'query', 'cookies'] as const) {
    for (const [name, condition] of Object.entries(match[source] ?? {})) {
      if (typeof condition === 'string' || !('regex' in condition)) continue;
      tryTo([source, name, 'regex'], () => compileRegex(condition.regex));
    }
  }

  const cidr = client?.cidr;
  if (Array.isArray(cidr)) cidr.forEach((text, index) => tryTo(['client', 'cidr', index], () => compileClient(text)));
  else if (cidr !== undefined) tryTo(['client', 'cidr'], () => compileClient(cidr));
  return faults;
}

function grpcFaults(match: MatchConfig): ConfigFault[] {
  const { grpc } = match;
  if (grpc === undefined) return [];
  try {
    readGrpc(grpc);
  } catch (error) {
    return [{ path: ['grpc'], message: (error as Error).message }];
  }
  const twice = (['path', 'methods'] as const).filter((key) => match[key] !== undefined);
  return twice.map((key) => ({ path: [key], message: `'${key}' beside 'grpc', which says it already: leave it out` }));
}
