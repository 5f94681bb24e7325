/**
 * `match: { grpc: shop.Orders/Get }` in the terms of every match. A call of gRPC is a POST to `/package.Service/Method`
 * with the content type of gRPC, so all that is left for the matcher to know of it is that type.
 */
import type { MatchConfig } from '../../config/schema.ts';

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
const ALL = '*';

/** The match without its short form. What means the same becomes the same, so that shadowed routes are found. @throws Error with a sentence. */
export function expandGrpc(match: MatchConfig): MatchConfig {
  if (match.grpc === undefined) return match;
  const { service, method } = readGrpc(match.grpc);
  const path = service === ALL ? '/*' : `/${service}/${method}`;
  return { ...match, grpc: ALL, path, methods: ['POST'] };
}

/** Whether a route with these matches takes calls of gRPC and nothing else. */
export const carriesGrpc = (matches: readonly MatchConfig[]): boolean =>
  matches.length > 0 && matches.every(({ grpc }) => grpc !== undefined);

/** @throws Error with a sentence that says what to write. */
export function readGrpc(written: string): { service: string; method: string } {
  if (written === ALL) return { service: ALL, method: ALL };
  const fault = (what: string) => new Error(`grpc '${written}': ${what}`);
  if (written.startsWith('/')) throw fault(`a service has no slash before it: write ${written.replace(/^\/+/, '')}`);
  const [service = '', method = ALL, ...rest] = written.split('/');
  if (rest.length > 0) throw fault('more than a service and a method: write package.Service/Method');
  const names = service.split('.');
  if (names.at(-1) === ALL) throw fault('* stands for all methods of a service; list the services of a package');
  if (!names.every((name) => NAME.test(name)))
    throw fault(`'${service}' is not the name of a service (package.Service)`);
  if (method === '') throw fault(`no method after the slash: write ${service} for all of them`);
  if (method !== ALL && !NAME.test(method)) {
    throw fault(`'${method}' is not the name of a method: one name, or * for all of the service`);
  }
  return { service, method };
}
