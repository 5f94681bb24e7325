/**
 * The levels and zones that share the load of a pool, each with a balancer of its own: first a tier is drawn by its share,
 * then its balancer picks. So shares hold whatever the policy, and latency decides between equals only. A pool has one
 * tier nearly always, and then nothing is drawn.
 */
import type { Random } from '../clock.ts';
import type { Tier } from './candidates.ts';
import type { Balancer, Candidate, PickRequest } from './endpoint.ts';
import { mix } from './choice/string-hash.ts';

/** An endpoint with the weight that it has now. */
export interface Seat<Endpoint> extends Candidate {
  readonly endpoint: Endpoint;
}

interface Place<Endpoint> {
  readonly seat: Seat<Endpoint>;
  readonly balancer: Balancer<Seat<Endpoint>>;
}

interface Served<Endpoint> {
  readonly share: number;
  readonly balancer: Balancer<Seat<Endpoint>>;
}

/** What a hash is mixed with before it draws a tier: within the tier the same hash draws again. */
const OTHER_BITS = 0x9e3779b9;

export class Tiers<Endpoint extends Candidate> {
  readonly #create: () => Balancer<Seat<Endpoint>>;
  readonly #random: Random;
  /** By level and zone, so that a balancer keeps what it has learnt while its tier has no share. */
  readonly #balancers = new Map<string, Balancer<Seat<Endpoint>>>();
  #served: readonly Served<Endpoint>[] = [];
  #places = new Map<Endpoint, Place<Endpoint>>();

  constructor(create: () => Balancer<Seat<Endpoint>>, random: Random) {
    this.#create = create;
    this.#random = random;
  }

  /** @param warmthOf how much of its weight an endpoint has. */
  update(tiers: readonly Tier<Endpoint>[], warmthOf: (endpoint: Endpoint) => number): void {
    this.#places = new Map();
    this.#served = tiers.map(({ priority, zone = '', share, members }) => {
      const key = `${priority} ${zone}`;
      const balancer = this.#balancers.get(key) ?? this.#create();
      this.#balancers.set(key, balancer);
      const seats = members.map((endpoint) => seatOf(endpoint, warmthOf(endpoint)));
      balancer.update(seats);
      for (const seat of seats) this.#places.set(seat.endpoint, { seat, balancer });
      return { share, balancer };
    });
  }

  pick(request: PickRequest, now?: number): Endpoint | undefined {
    const served = this.#served;
    if (served.length === 0) return undefined;
    const at = served.length === 1 ? 0 : this.#draw(request);
    return served[at]!.balancer.pick(request, now)?.endpoint;
  }

  /** Its weight now, and what its balancer compares, if it does. */
  placeOf(endpoint: Endpoint): { readonly weight: number; readonly cost: number | undefined } {
    const place = this.#places.get(endpoint);
    if (place === undefined) return { weight: endpoint.weight, cost: undefined };
    const { seat, balancer } = place;
    return { weight: balancer.weightOf?.(seat) ?? seat.weight, cost: balancer.cost?.(seat) };
  }

  /** The same key draws the same tier for as long as the shares allow. */
  #draw(request: PickRequest): number {
    const served = this.#served;
    const hash = served[0]!.balancer.key?.(request);
    let point = hash === undefined ? this.#random() : mix(hash ^ OTHER_BITS) / 2 ** 32;
    for (let at = 0; at < served.length; at++) {
      point -= served[at]!.share;
      if (point < 0) return at;
    }
    // Shares add up to 1 but for rounding.
    return served.length - 1;
  }
}

function seatOf<Endpoint extends Candidate>(endpoint: Endpoint, warmth: number): Seat<Endpoint> {
  const { url, row, weight } = endpoint;
  return { endpoint, url, row, weight: weight * warmth, isWarming: warmth < 1 };
}
