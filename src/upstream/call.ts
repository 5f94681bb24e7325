/**
 * The seam between a try and the protocol that carries it: what is asked of an endpoint's connections, and what is heard
 * back. HTTP/1.1 (h1/) and HTTP/2 (h2/) stand behind it, and nothing before it knows which one it is.
 */
import type net from 'node:net';
import type tls from 'node:tls';
import type { Clock } from '../clock.ts';
import type { ConnectionsConfig } from '../config/schema.ts';
import type { UpstreamRequest } from '../data/dispatch.ts';
import type { GatewayError } from '../errors.ts';
import type { TimerWheel } from '../timer-wheel.ts';

/** What is carried, and who hears how it goes. Exactly one of `onComplete` and `onFailure` is the last word. */
export interface Call {
  readonly request: UpstreamRequest;
  /** Set while something carries it. */
  carrier: Carrier | null;
  /** The upstream has the whole request. */
  onSent(): void;
  onInformation(status: number, fields: string[]): void;
  onHead(status: number, fields: string[]): void;
  /** The bytes are ours only until this returns. */
  onBody(bytes: Buffer): void;
  /** The upstream goes on in the protocol that the request asked for. `onComplete` comes when the socket is closed. */
  onSwitched(fields: string[], upstream: Switched): void;
  onComplete(trailers: string[] | undefined): void;
  onFailure(error: GatewayError): void;
}

/** What carries a call: a connection of HTTP/1.1, a stream of HTTP/2. */
export interface Carrier {
  pause(): void;
  resume(): void;
  /** Lets the bytes of the `onBody` under way outlive it. @returns what ends that. */
  keepBytes(): () => void;
  /** The call's owner has given up: whatever is under way ends here, unheard. */
  abandon(): void;
}

/** A connection that has left HTTP: from here on its socket belongs to whoever takes it. */
export interface Switched {
  /** Paused. */
  readonly socket: net.Socket;
  /** What came behind the head. */
  readonly rest: Buffer;
  /** Ends it so that the upstream cannot take what it has for all. */
  reset(): void;
}

/** All connections of one data thread to one endpoint. They outlive generations. */
export interface EndpointConnections {
  /** Carries the call now, or as soon as there is a place for it. A full queue fails it at once. */
  start(call: Call): void;
  /** The call's owner has given up before anything carried it: its place in the queue is another's. */
  forget(call: Call): void;
  /** Takes new settings after a reload; connections that are over a lower limit are let go as they become idle. */
  configure(settings: ConnectionsConfig, limits: ResponseLimits): void;
  /** No generation uses it any more: what is idle closes now, the rest when it is done. */
  retire(): void;
  /** A generation uses it again before it was gone. */
  revive(): void;
}

export interface EndpointConnectionsOptions {
  /** `http://10.0.0.11:8080` */
  readonly url: string;
  readonly settings: ConnectionsConfig;
  readonly limits: ResponseLimits;
  /** Absent for http. */
  readonly tls: tls.ConnectionOptions | undefined;
  /** Threads that share `settings.max` and `settings.pending`. */
  readonly threads: number;
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  /** +1 when one opens, -1 when one closes. */
  readonly onCount: (change: 1 | -1) => void;
}

export interface ResponseLimits {
  readonly headBytes: number;
  readonly fields: number;
}

/** Where an endpoint is reached. @param url its origin. */
export function addressOf(url: string): { readonly host: string; readonly port: number } {
  const { protocol, hostname, port } = new URL(url);
  return {
    host: hostname.startsWith('[') ? hostname.slice(1, -1) : hostname,
    port: port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port),
  };
}
