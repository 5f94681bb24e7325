/** Where the key of a hash balancer comes from, compiled once from its word in the config: `header:x-user`, `path`, … */
import type { PickRequest } from '../endpoint.ts';
import { hashAddress } from './address-hash.ts';
import { hashString } from './string-hash.ts';

/** @returns the hash of the request's key, or undefined when the request has none. */
export type HashKey = (request: PickRequest) => number | undefined;

export function compileHashKey(source: string): HashKey {
  const colon = source.indexOf(':');
  const kind = colon < 0 ? source : source.slice(0, colon);
  const name = source.slice(colon + 1);
  switch (kind) {
    case 'ip':
      return (request) => hashAddress(request.clientAddress);
    case 'url':
      return (request) => hashString(request.target);
    case 'path':
      return (request) => hashString(request.path);
    case 'consumer':
      return (request) => hashUnlessEmpty(request.consumer);
    case 'header': {
      const field = name.toLowerCase();
      return (request) => hashUnlessEmpty(request.header(field));
    }
    case 'cookie':
      return (request) => hashUnlessEmpty(request.cookie(name));
    case 'query':
      return (request) => hashUnlessEmpty(request.query(name));
    default:
      throw new Error(`balance: unknown source of a hash key '${source}'`);
  }
}

function hashUnlessEmpty(key: string | undefined): number | undefined {
  return key === undefined || key === '' ? undefined : hashString(key);
}
