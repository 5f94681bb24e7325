/** One proxy in the comparison: how it is configured for the bench's one job, and started. */
import type { Certificate } from '../certificate.ts';
import { CONNECTIONS } from '../load.ts';
import { HTTP2_CONNECTIONS, STREAMS } from '../load-http2.ts';
import type { Command } from '../process.ts';

/** What is spoken on both sides; HTTP/1.1 without TLS where nothing is said. */
export interface Wire {
  /** With clients: HTTP/2, and nothing else has to be understood. */
  readonly http2?: boolean;
  /** With clients. */
  readonly tls?: Certificate;
  /** The origins are services of gRPC: HTTP/2 with them, too. */
  readonly grpc?: boolean;
}

/** What a contestant is given: a directory for its files, a port to listen on, and the origin's ports. */
export interface Place extends Wire {
  readonly dir: string;
  readonly port: number;
  readonly origins: readonly number[];
}

export interface Contestant {
  readonly name: string;
  /** Undefined: not installed. */
  readonly version: string | undefined;
  /** Writes its configuration into the place and says how to start it there, in the foreground. */
  configure(place: Place): Command;
}

/** Idle connections that are kept to the origins: as many as there are requests under way, so that nobody has to open them anew. */
export function keptConnections({ http2 = false }: Wire): number {
  return http2 ? HTTP2_CONNECTIONS * STREAMS : CONNECTIONS;
}
