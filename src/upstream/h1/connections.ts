/**
 * The connections of one data thread to one endpoint. The one used last is used first, so that those not needed grow old
 * and close; a call without a connection opens one or waits its turn. They outlive generations.
 */
import type tls from 'node:tls';
import type { Clock } from '../../clock.ts';
import type { ConnectionsConfig } from '../../config/schema.ts';
import { GatewayError } from '../../errors.ts';
import type { TimerWheel } from '../../timer-wheel.ts';
import { Connection, type Call } from './connection.ts';
import type { ResponseLimits } from './response-parser.ts';

export interface ConnectionsOptions {
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

export class Connections {
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

  constructor(options: ConnectionsOptions) {
    const { protocol, hostname, port } = new URL(options.url);
    this.url = options.url;
    this.host = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
    this.port = port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port);
    this.tls = options.tls;
    this.clock = options.clock;
    this.wheel = options.wheel;
    this.settings = options.settings;
    this.limits = options.limits;
    this.#threads = options.threads;
    this.#onCount = options.onCount;
  }

  /** Carries the call now, or as soon as a connection is free. A full queue fails it at once. */
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

  /** The call's owner has given up before a connection was free: its place in the queue is another's. */
  forget(call: Call): void {
    const at = this.#waiting.indexOf(call);
    if (at !== -1) this.#waiting.splice(at, 1);
  }

  /** Takes new settings after a reload; connections that are over a lower limit are let go as they become idle. */
  configure(settings: ConnectionsConfig, limits: ResponseLimits): void {
    this.settings = settings;
    this.limits = limits;
  }

  /** No generation uses it any more: what is idle closes now, the rest when it is done. */
  retire(): void {
    this.#retired = true;
    for (const connection of [...this.#idle]) connection.close();
  }

  /** A generation uses it again before it was gone. */
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
