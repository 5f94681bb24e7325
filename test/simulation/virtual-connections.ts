/**
 * The connections of one thread to one endpoint, behind the seam that HTTP/1.1 and HTTP/2 stand behind
 * (src/upstream/call.ts): a network that takes its time, and a server at its other end.
 */
import type { Clock, Random } from '../../src/clock.ts';
import type { ConnectionsConfig } from '../../src/config/schema.ts';
import { GatewayError } from '../../src/errors.ts';
import type { Call, Carrier, EndpointConnections } from '../../src/upstream/call.ts';
import { brokenConnection, connectFault } from '../../src/upstream/faults.ts';
import { demandOf } from './virtual-client.ts';
import type { Job, VirtualServer } from './virtual-server.ts';

/** One way within a data centre: this and, on average, as much again by chance. */
const NETWORK_MS = 0.15;

const BODY = Buffer.from('{}');

export interface ConnectionsParts {
  readonly server: VirtualServer;
  readonly clock: Clock;
  readonly random: Random;
  readonly settings: ConnectionsConfig;
  readonly threads: number;
  /** Answers tell of the server's load. */
  readonly reports: boolean;
}

export class VirtualConnections implements EndpointConnections {
  readonly parts: ConnectionsParts;
  readonly #waiting: Call[] = [];
  #busy = 0;

  constructor(parts: ConnectionsParts) {
    this.parts = parts;
  }

  /** Calls that it has. */
  get held(): number {
    return this.#busy + this.#waiting.length;
  }

  start(call: Call): void {
    const { settings, threads, server } = this.parts;
    if (this.#busy < Math.ceil(settings.max / threads)) this.#send(call);
    else if (this.#waiting.length < Math.ceil(settings.pending / threads)) this.#waiting.push(call);
    else {
      const reason = `${server.url}: ${this.#waiting.length} requests wait already`;
      call.onFailure(new GatewayError('connection_limit_reached', reason, { retryAfterSeconds: 1 }));
    }
  }

  forget(call: Call): void {
    const at = this.#waiting.indexOf(call);
    if (at !== -1) this.#waiting.splice(at, 1);
  }

  configure(): void {}
  retire(): void {}
  revive(): void {}

  oneWayMs(): number {
    return NETWORK_MS * (1 - Math.log(1 - this.parts.random()));
  }

  /** A connection is free. */
  release(): void {
    this.#busy--;
    const next = this.#waiting.shift();
    if (next !== undefined) this.#send(next);
  }

  #send(call: Call): void {
    this.#busy++;
    new Transfer(this, call).send();
  }
}

/** One request on its way there and back. */
class Transfer implements Carrier, Job {
  readonly demand: number;
  isAbandoned = false;
  readonly #connections: VirtualConnections;
  readonly #call: Call;

  constructor(connections: VirtualConnections, call: Call) {
    this.#connections = connections;
    this.#call = call;
    this.demand = demandOf(call.request.exchange);
    call.carrier = this;
  }

  send(): void {
    this.#server.announce(this.demand);
    this.#travel(() => this.#arrive());
    this.#call.onSent();
  }

  // --- Job: what the server does with it; who has abandoned it hears nothing ---

  onAnswer(status: number): void {
    this.#travel(() => {
      if (this.isAbandoned) return;
      const fields = ['content-length', String(BODY.length)];
      if (this.#connections.parts.reports) fields.push('endpoint-load-metrics', this.#server.report);
      this.#call.onHead(status, fields);
      if (this.isAbandoned) return;
      this.#call.onBody(BODY);
      if (this.isAbandoned) return;
      this.#end();
      this.#call.onComplete(undefined);
    });
  }

  onBroken(): void {
    this.#travel(() => this.#fail(brokenConnection(this.#server.url, false)));
  }

  // --- Carrier ---

  abandon(): void {
    this.isAbandoned = true;
    this.#connections.release();
  }

  pause(): void {}
  resume(): void {}
  keepBytes(): () => void {
    return () => {};
  }

  get #server(): VirtualServer {
    return this.#connections.parts.server;
  }

  #travel(arrive: () => void): void {
    this.#connections.parts.clock.after(this.#connections.oneWayMs(), arrive);
  }

  #arrive(): void {
    this.#server.arrived(this.demand);
    if (this.isAbandoned) return;
    if (this.#server.state !== 'refusing') return this.#server.receive(this);
    const refused = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
    this.#travel(() => this.#fail(connectFault(refused, this.#server.url, false)));
  }

  #fail(error: GatewayError): void {
    if (this.isAbandoned) return;
    this.#end();
    this.#call.onFailure(error);
  }

  #end(): void {
    this.isAbandoned = true;
    this.#call.carrier = null;
    this.#connections.release();
  }
}
