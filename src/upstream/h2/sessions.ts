/**
 * The HTTP/2 sessions of one data thread to one endpoint: few, and mostly one. The oldest that has a place carries the
 * next call, so that those not needed grow idle and close; another is opened when all that the endpoint takes at once is
 * taken. A call for which there is no place waits its turn.
 */
import type net from 'node:net';
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
import { Session } from './session.ts';

/** What a peer is thought to take at once before its first SETTINGS: the least that RFC 9113 §6.5.2 recommends. */
const FIRST_EXPECTED = 100;
/** Of one call, lest it go round for ever. Under load, what nginx refuses at its `keepalive_requests` may meet the next such end. */
const MOST_MOVES = 5;

export class Sessions implements EndpointConnections {
  readonly url: string;
  readonly scheme: 'http' | 'https';
  readonly address: net.TcpNetConnectOpts;
  readonly tls: tls.ConnectionOptions | undefined;
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  settings: ConnectionsConfig;
  limits: ResponseLimits;
  /** TLS session to resume, so that further connections need no full handshake. */
  ticket: Buffer | undefined;

  readonly #threads: number;
  readonly #onCount: (change: 1 | -1) => void;
  /** Those that take calls, and those that are opening, the oldest first. */
  readonly #sessions: Session[] = [];
  /** Those that only finish what they carry. */
  readonly #leaving = new Set<Session>();
  readonly #waiting: Call[] = [];
  readonly #moves = new WeakMap<Call, number>();
  readonly #upgrades: EndpointConnections;
  #opening = 0;
  #expected = FIRST_EXPECTED;
  #retired = false;

  /** @param upgrades to the same endpoint: what leaves HTTP does so from HTTP/1.1. */
  constructor(options: EndpointConnectionsOptions, upgrades: EndpointConnections) {
    this.url = options.url;
    this.scheme = options.tls === undefined ? 'http' : 'https';
    // A session that carries silent streams alone would not notice that its peer is gone.
    this.address = { ...addressOf(options.url), noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 };
    this.tls = options.tls;
    this.clock = options.clock;
    this.wheel = options.wheel;
    this.settings = options.settings;
    this.limits = options.limits;
    this.#threads = options.threads;
    this.#onCount = options.onCount;
    this.#upgrades = upgrades;
  }

  start(call: Call): void {
    if (call.request.upgrade !== undefined) return this.#upgrades.start(call);
    const session = this.#withRoom();
    if (session !== undefined) return session.carry(call);
    this.#openIfNeeded(this.#waiting.length + 1);
    if (this.#waiting.length >= this.#promised + this.#maxWaiting) {
      const message = `${this.url}: ${this.#waiting.length} requests wait already`;
      return call.onFailure(new GatewayError('connection_limit_reached', message, { retryAfterSeconds: 1 }));
    }
    this.#waiting.push(call);
  }

  forget(call: Call): void {
    const at = this.#waiting.indexOf(call);
    if (at !== -1) this.#waiting.splice(at, 1);
  }

  configure(settings: ConnectionsConfig, limits: ResponseLimits): void {
    this.settings = settings;
    this.limits = limits;
    this.#upgrades.configure(settings, limits);
  }

  retire(): void {
    this.#retired = true;
    for (const session of [...this.#sessions]) if (session.isIdle) session.close();
    this.#upgrades.retire();
  }

  revive(): void {
    this.#retired = false;
    this.#upgrades.revive();
  }

  /** The peer has not processed what it was given, and takes no more: another session may carry it. @returns whether one does. */
  move(call: Call): boolean {
    const moves = this.#moves.get(call) ?? 0;
    if (moves >= MOST_MOVES) return false;
    this.#moves.set(call, moves + 1);
    this.start(call);
    return true;
  }

  // --- what sessions tell ---

  onOpened(session: Session): void {
    this.#opening--;
    this.#onCount(1);
    this.onRoom(session);
    this.#openIfNeeded(this.#waiting.length);
  }

  /** @param takes how many streams at once, as its peer says. */
  onSettings(takes: number): void {
    this.#expected = Math.max(1, takes);
  }

  /** Nobody else is opened for those who wait: each of them may have a better endpoint to go to. */
  onNotOpened(session: Session, error: GatewayError): void {
    this.#opening--;
    this.#remove(session);
    for (const call of this.#waiting.splice(0)) call.onFailure(error);
  }

  /** It may carry another. */
  onRoom(session: Session): void {
    while (this.#waiting.length > 0 && session.hasRoom) session.carry(this.#waiting.shift()!);
    if (!session.isIdle) return;
    if (this.#retired || this.#sessions.length > this.#max) session.close();
    else session.waitIdle();
  }

  onLeaving(session: Session): void {
    this.#remove(session);
    this.#leaving.add(session);
    this.#openIfNeeded(this.#waiting.length);
  }

  onClosed(session: Session): void {
    this.#onCount(-1);
    this.#remove(session);
    this.#leaving.delete(session);
    this.#openIfNeeded(this.#waiting.length);
  }

  // --- room ---

  #withRoom(): Session | undefined {
    for (const session of this.#sessions) if (session.hasRoom) return session;
    return undefined;
  }

  /** @param calls for which there is no place now. */
  #openIfNeeded(calls: number): void {
    while (calls > this.#promised && this.#mayOpen) {
      this.#opening++;
      this.#sessions.push(new Session(this));
    }
  }

  /** Calls that the sessions under way are thought to carry. */
  get #promised(): number {
    return this.#opening * this.#expected;
  }

  /** What is leaving takes no place, or one long stream could keep all others waiting; yet it is not without bound. */
  get #mayOpen(): boolean {
    return this.#sessions.length < this.#max && this.#sessions.length + this.#leaving.size < 2 * this.#max;
  }

  get #max(): number {
    return Math.ceil(this.settings.max / this.#threads);
  }

  get #maxWaiting(): number {
    return Math.ceil(this.settings.pending / this.#threads);
  }

  #remove(session: Session): void {
    const at = this.#sessions.indexOf(session);
    if (at !== -1) this.#sessions.splice(at, 1);
  }
}
