/**
 * What an authentication method is. Each is a folder of its own below this one, named as its key below `auth`: index.ts
 * with the method, schema.ts with how users write it. methods.ts lists them.
 */
import type { FastifyReply } from 'fastify';
import type { OptionFiles } from '../../src/config/option-files.ts';
import type { GatewayConfig, RouteConfig } from '../../src/config/schema.ts';
import type { Exchange } from '../../src/data/exchange.ts';
import type { Principal } from '../../src/data/principal.ts';
import type { ConfigFault, PluginContext } from '../../src/extension.ts';
import type { Refusal } from './refusal.ts';

export interface AuthMethod<Options> {
  /** The key below `auth`. */
  readonly name: string;
  /** As in a plugin; paths are below the method's key. */
  resolve?(options: Options, files: OptionFiles): object;
  check?(options: Options, route: RouteConfig, pools: ReadonlySet<string>): readonly ConfigFault[];
  checkGateway?(options: Options, gateway: GatewayConfig): readonly ConfigFault[];
  pools?(options: Options): readonly string[];
  documents?(options: Options): readonly string[];
  /** Loads here what only those need who use it. */
  create(options: Options, context: PluginContext): Authenticator | Promise<Authenticator>;
}

/** A method on one route. */
export interface Authenticator {
  readonly name: string;
  /** What a request without credentials is asked for (RFC 9110 §11.6.1); undefined: there is no scheme for it. */
  readonly challenge: string | undefined;
  /** Whether the request brings a credential of this kind, good or bad. Reads only. */
  carries(exchange: Exchange): boolean;
  /**
   * Takes out of what goes on what is between client and gateway, unless the upstream is to have it: credentials, good or
   * bad, and what only the gateway may say. Asked of all methods of a route, whichever decides.
   */
  withhold?(exchange: Exchange): void;
  /**
   * Who it is, or why nobody. At once where that can be told, else undefined, and `later` is called exactly once. Must
   * not throw.
   */
  authenticate(exchange: Exchange, later: (outcome: Principal | Refusal) => void): Principal | Refusal | undefined;
  /** Answers requests that are the method's own: the way back from a login, a logout. @returns whether it did. */
  intercept?(exchange: Exchange, reply: FastifyReply): boolean;
  /** Nobody is there: may answer with a way to log in. @returns whether it did. */
  invite?(exchange: Exchange, reply: FastifyReply): boolean;
}

export function defineMethod<Options>(method: AuthMethod<Options>): AuthMethod<Options> {
  return method;
}
