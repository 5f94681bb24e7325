/**
 * The client's side of a request that asks for a WebSocket, until the upstream has agreed or somebody has refused: a whole
 * connection of HTTP/1.1 (h1/upgrade.ts) or a stream of HTTP/2 (h2/upgrade.ts). What the client sends meanwhile is held, within
 * a bound: it is no request, and never reaches an upstream that stays with HTTP.
 */
import type { Duplex } from 'node:stream';
import type { GatewayError } from '../errors.ts';
import type { Switched } from '../upstream/call.ts';
import type { Exchange } from './exchange.ts';
import type { Rule } from './rule.ts';

export interface Upgrade {
  exchange: Exchange | undefined;
  /** The upstream's side, once it has agreed. */
  upstream: Switched | undefined;
  /** What the client says and hears, once it is released. */
  readonly stream: Duplex;
  /** @throws GatewayError where the route cannot serve such a request at all. */
  admit(rule: Rule): void;
  /** Of an answer that is no 101: why the client must not have it as it is. */
  refusalOf(status: number): GatewayError | undefined;
  /** Leaves HTTP: no answer will be written. @returns what the client has sent so far and `stream` will not give again. */
  release(): readonly Buffer[];
  /** Tells the client that the upstream has agreed. @param fields of the upstream's 101, without hop-by-hop fields. */
  agree(fields: readonly string[]): void;
  /** Instead of both: the client as a connection of HTTP/1.1, for somebody who answers and speaks on it. */
  releaseAsHttp1(): Duplex;
  /** Once the stream is closed: whether both have said all they had to say. */
  readonly isClosedInOrder: boolean;
}
