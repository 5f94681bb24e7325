/**
 * The connections of one data thread to one endpoint. The one used last is used first, so that those not needed grow old
 * and close; a call without a connection opens one or waits its turn. They outlive generations.
 */
import type tls from 'node:tls';
import type { Clock } from '../../clock.ts';
import type { ConnectionsConfig } from '../../config/schema.ts';
import { GatewayError } from '../../errors.ts';
import type { TimerWheel } from '../../timer-wheel.ts';
import {
  addressOf,
  type Call,
  type EndpointConnections,
  type EndpointConnectionsOptions,
  type ResponseLimits,
} from '../call.ts';
import { Connection } from './connection.ts';

export class Connections implements EndpointConnections {
  readonly url: string;
  readonly host: string;
  readonly port: number;
  readonly tls: tls.ConnectionOptions | undefined;
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  settings: ConnectionsConfig;
  limits: ResponseLimits;
  /** TLS session to resume, so that further connections need no full handshake. */
  session: Buffer | undefined;

  readonly #threads: number;
  readonly #onCount: (change: 1 | -1) => void;
  readonly #idle: Connection[] = [];
  readonly #waiting: Call[] = [];
  #open = 0;
  #retired = false;

  constructor(options: EndpointConnectionsOptions) {
    const { host, port } = addressOf(options.url);
    this.url = options.url;
    this.host = host;
    this.port = port;
    this.tls = options.tls;
    this.clock = options.clock;
    this.wheel = options.wheel;
    this.settings = options.settings;
    this.limits = options.limits;
    this.#threads = options.threads;
    this.#onCount = options.onCount;
  }

  start(call: Call): void {
    // Tunnels stay for hours: they take no place from requests, and are bounded where clients connect.
    if (call.request.upgrade !== undefined) return void new Connection(this, call);
    const idle = this.#idle.pop();
    if (idle !== undefined) idle.carry(call);
    else if (this.#open < this.#max) this.#openFor(call);
    else if (this.#waiting.length < this.#maxWaiting) this.#waiting.push(call);
    else
      call.onFailure(
        new GatewayError('connection_limit_reached', `${this.url}: ${this.#waiting.length} requests wait already`, {
          retryAfterSeconds: 1,
        }),
      );
  }

  forget(call: Call): void {
    const at = this.#waiting.indexOf(call);
    if (at !== -1) this.#waiting.splice(at, 1);
  }

  configure(settings: ConnectionsConfig, limits: ResponseLimits): void {
    this.settings = settings;
    this.limits = limits;
  }

  retire(): void {
    this.#retired = true;
    for (const connection of [...this.#idle]) connection.close();
  }

  revive(): void {
    this.#retired = false;
  }

  get open(): number {
    return this.#open;
  }

  onOpened(): void {
    this.#onCount(1);
  }

  onIdle(connection: Connection): void {
    const next = this.#waiting.shift();
    if (next !== undefined) {
      connection.carry(next);
    } else if (this.#retired || this.#open > this.#max) {
      connection.close();
    } else {
      this.#idle.push(connection);
      this.wheel.set(connection, this.clock.now() + this.settings.idle);
    }
  }

  onClosed(connection: Connection): void {
    if (connection.connected) this.#onCount(-1);
    if (connection.isForUpgrade) return;
    this.#open--;
    const at = this.#idle.lastIndexOf(connection);
    if (at !== -1) this.#idle.splice(at, 1);
    if (this.#open >= this.#max) return;
    const next = this.#waiting.shift();
    if (next !== undefined) this.#openFor(next);
  }

  get #max(): number {
    return Math.ceil(this.settings.max / this.#threads);
  }

  get #maxWaiting(): number {
    return Math.ceil(this.settings.pending / this.#threads);
  }

  #openFor(call: Call): void {
    this.#open++;
    new Connection(this, call);
  }
}
