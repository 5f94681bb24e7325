/** What a schema cannot say about one route. */
import { checkMatch } from '../data/match/check.ts';
import { child, pointer, type Document } from './document.ts';
import { isFieldName } from './check-pool.ts';
import { checkTimeouts } from './check-timeouts.ts';
import { checkWebsocket } from './check-websocket.ts';
import type { Problem } from './problem.ts';
import type { MatchConfig, RouteConfig } from './schema.ts';

export function checkRoute(route: RouteConfig, document: Document, at: string): Problem[] {
  // `match` may be written as a list or as one object, `host` and `cidr` likewise: of what has no place of its own, the nearest has.
  const isList = document.has(`${at}/match/0`);
  const matches = route.match.flatMap((match, index) => {
    const place = isList ? `${at}/match/${index}` : `${at}/match`;
    const faults = checkMatch(match).map(({ path, message }) =>
      document.error(document.valueAt(place + pointer(path)), message),
    );
    return [
      ...faults,
      ...checkPath(match, document, `${place}/path`),
      ...checkFields(match, document, `${place}/headers`),
    ];
  });
  return [
    ...matches,
    ...checkTimeouts(route.timeout, document, `${at}/timeout`),
    ...checkWebsocket(route.websocket, document, `${at}/websocket`),
  ];
}

/** A request's path is normalised before it is matched; a pattern that is not says something else than it seems to. */
function checkPath({ path }: MatchConfig, document: Document, at: string): Problem[] {
  if (typeof path !== 'string') return [];
  const normal = normalPath(path);
  if (normal === path) return [];
  return [document.error(document.valueAt(at), `path '${path}' is not normalised`, `write ${normal}`)];
}

function normalPath(path: string): string {
  const kept: string[] = [];
  const segments = path.split('/').slice(1);
  segments.forEach((segment, index) => {
    const isLast = index === segments.length - 1;
    if (segment === '..') kept.pop();
    else if (segment !== '.' && (segment !== '' || isLast)) kept.push(segment);
    if (isLast && (segment === '..' || segment === '.')) kept.push('');
  });
  return `/${kept.join('/')}`;
}

function checkFields({ headers = {} }: MatchConfig, document: Document, at: string): Problem[] {
  return Object.keys(headers)
    .filter((name) => !isFieldName(name))
    .map((name) => document.error(document.keyAt(child(at, name)), `'${name}' is not a field name`));
}
