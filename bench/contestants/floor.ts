import { fileURLToPath } from 'node:url';
import type { Command } from '../process.ts';
import type { Contestant, Wire } from './contestant.ts';

const app = (file: string) => fileURLToPath(new URL(`../peers/${file}`, import.meta.url));

/** A server of Node's that proxies nothing: what Node costs before a gateway does anything. Ratios are to this one. */
export const floor: Contestant = {
  name: 'floor',
  version: process.versions.node,
  configure: ({ port, ...wire }) => ({ argv: [process.execPath, appFor(wire), String(port)], env: keys(wire) }),
};

/** What is behind the contestants where they pass on calls of gRPC. */
export function grpcService(ports: readonly number[]): Command {
  return { argv: [process.execPath, app('grpc-service.ts'), ...ports.map(String)] };
}

function appFor({ http2 = false, grpc = false }: Wire): string {
  return app(grpc ? 'grpc-service.ts' : http2 ? 'answer-http2.ts' : 'answer.ts');
}

function keys({ tls }: Wire): Readonly<Record<string, string>> {
  return tls === undefined ? {} : { TLS_CERT: tls.cert, TLS_KEY: tls.key };
}
