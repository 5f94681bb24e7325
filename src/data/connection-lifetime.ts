/**
 * How long a client may keep its connection. One that kept it for ever would stay with the gateway that it once met, however
 * many have joined since; one that is let go comes back through the balancer. No request is cut: the last one is answered
 * with `Connection: close`, and what is idle is closed when it has been quiet for a moment.
 */
import type { Random } from '../clock.ts';
import type { ListenerLimitsConfig } from '../config/schema.ts';
import { Deadline, type TimerWheel } from '../timer-wheel.ts';
import type { ClientConnection } from './client-connection.ts';
import type { DataContext } from './context.ts';

/** A client that has not asked for this long is hardly about to. */
const QUIET_MS = 1_000;
/** Share of the age by which connections differ, so that those that came together do not leave together. */
const JITTER = 0.1;

type LifetimeLimits = Pick<ListenerLimitsConfig, 'maxConnectionAge' | 'maxRequestsPerConnection'>;
type LifetimeContext = Pick<DataContext, 'clock' | 'random' | 'wheel'>;

export class ConnectionLifetime extends Deadline {
  readonly #client: ClientConnection;
  readonly #wheel: TimerWheel;
  /** On the clock's scale. */
  readonly #oldAt: number;
  readonly #mostRequests: number;
  #requests = 0;
  #bytesReadBefore = -1;
  #isOver = false;

  /** Begins now. */
  constructor(client: ClientConnection, limits: LifetimeLimits, { clock, random, wheel }: LifetimeContext) {
    super();
    const { maxRequestsPerConnection: requests } = limits;
    const age = connectionAge(limits, random);
    this.#client = client;
    this.#wheel = wheel;
    this.#mostRequests = requests === 0 ? Infinity : requests;
    this.#oldAt = clock.now() + age;
    if (age === Infinity) return;
    wheel.set(this, this.#oldAt);
    client.socket.once('close', () => wheel.clear(this));
  }

  /** The last request has begun: what stands behind it is not looked at. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** A request begins. @returns whether it is the last. */
  begin(now: number): boolean {
    this.#requests++;
    this.#isOver = this.#requests >= this.#mostRequests || now >= this.#oldAt;
    return this.#isOver;
  }

  /** Old: the next answer says so. A client that asks nothing more is let go. */
  override onDue(now: number): void {
    if (this.#isOver) return;
    const { pending, exchange, bytesRead, socket } = this.#client;
    const isQuiet = pending === 0 && exchange === null && bytesRead === this.#bytesReadBefore;
    if (isQuiet) return socket.destroySoon();
    this.#bytesReadBefore = bytesRead;
    this.#wheel.set(this, now + QUIET_MS);
  }
}

/** @returns milliseconds; Infinity where there is no limit. */
export function connectionAge({ maxConnectionAge: age }: LifetimeLimits, random: Random): number {
  return age === 0 ? Infinity : age * (1 + JITTER * (2 * random() - 1));
}
