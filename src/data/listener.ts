/**
 * An open port of one data thread: who may connect, which HTTP is then spoken, and where both meet, in the intake. Sockets
 * outlive generations: a reload moves `current`, and nothing else.
 */
import type { Server, ServerOptions } from 'node:http';
import type { ListenerConfig } from '../config/schema.ts';
import { Admission, type AdmissionHost } from './admission.ts';
import type { Generation } from './generation.ts';
import { Http1Server } from './h1/server.ts';
import { Http2Server } from './h2/server.ts';
import { Intake, type IntakeHost } from './intake.ts';
import type { Networks } from './match/networks.ts';
import { SecureServer } from './tls.ts';

/** What a handshake may agree on, in our order (RFC 7301 §3.2). */
const HTTP2_FIRST = ['h2', 'http/1.1'];
const HTTP1_ONLY = ['http/1.1'];

export type ListenerHost = AdmissionHost & IntakeHost;

export class Listener {
  readonly #host: ListenerHost;
  readonly #config: ListenerConfig;
  /** Its place in the configuration. */
  readonly #index: number;
  readonly #intake: Intake;
  readonly #server: Server;
  readonly #http2: Http2Server | undefined;
  readonly #admission: Admission;
  /** With TLS, the server's certificates. */
  #secure: SecureServer | undefined;
  /** The generation whose certificates it shows. */
  #adopted: Generation | undefined;
  #port = 0;

  constructor(host: ListenerHost, config: ListenerConfig, index: number) {
    this.#host = host;
    this.#config = config;
    this.#index = index;
    this.#intake = new Intake(host, config.limits);
    const http1 = new Http1Server(
      this.#intake,
      config.limits,
      host.context,
      config.tls && ((options) => this.#createSecureServer(options)),
    );
    this.#server = http1.server;
    this.#http2 =
      config.http2 === false ? undefined : new Http2Server(this.#intake, config, config.http2, host.context);
    this.#admission = new Admission(host, config, {
      onConnection: () => this.#latestTrusted(),
      onHttp1: (client) => http1.accept(client),
      onHttp2: this.#http2 && ((client) => this.#http2!.accept(client)),
    });
    this.#admission.guard(this.#server);
  }

  /** @returns the actual port. */
  listen(reusePort: boolean): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ host: this.#config.host, port: this.#config.port, reusePort, backlog: 1024 }, () => {
        this.#server.off('error', reject);
        const address = this.#server.address();
        this.#port = typeof address === 'object' && address !== null ? address.port : 0;
        resolve(this.#port);
      });
    });
  }

  /** Takes no new connections; those without a request end now, the others after their answer. */
  stop(): void {
    this.#server.close();
    this.#server.closeIdleConnections();
    this.#http2?.leave();
  }

  /** Ends what is left. @returns how many exchanges that cut. */
  cut(): number {
    return this.#admission.cut();
  }

  #createSecureServer(options: ServerOptions): Server {
    const { tls, limits, http2 } = this.#config;
    const { current, context } = this.#host;
    const identity = current.serverIdentities[this.#index]!;
    const protocols = http2 === false ? HTTP1_ONLY : HTTP2_FIRST;
    this.#secure = new SecureServer(options, tls!, identity, context, limits.headersTimeout, protocols);
    return this.#secure.server;
  }

  /** A connection is about to be judged: by the latest settings, and its handshake shows the latest certificates. */
  #latestTrusted(): Networks {
    const { current } = this.#host;
    if (current !== this.#adopted) {
      this.#adopted = current;
      const identity = current.serverIdentities[this.#index];
      if (identity !== undefined) this.#secure?.adopt(identity);
    }
    return this.#intake.trusted;
  }
}
