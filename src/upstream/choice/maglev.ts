/**
 * Consistent hashing: a table in which every endpoint owns slots in proportion to its weight, and keeps nearly all of
 * them when another comes or goes (Maglev, NSDI 2016, with the weights of Envoy). Picking is one read. The table follows
 * from the URLs and weights alone, not from their order nor from the past: all threads and gateways build the same, and
 * an endpoint that comes back gets its old keys.
 *
 * Shares follow weights to a slot or two. Chosen over a ketama ring, whose shares are off by several percent, at the
 * price of about one key in a hundred that moves without need.
 */
import type { Candidate } from '../endpoint.ts';
import { hashString } from './string-hash.ts';

/** Slots by number of endpoints, each prime. Crossing a step moves most keys, so they are few. */
const SIZES = [
  { upTo: 160, slots: 16_381 },
  { upTo: 1_300, slots: 131_071 },
  { upTo: Infinity, slots: 1_048_573 },
] as const;

const FREE = -1;

export class Maglev<Endpoint extends Candidate> {
  #members: readonly Endpoint[] = [];
  #slots = new Int32Array(0);

  /** Builds anew only when URLs or weights have changed. */
  update(endpoints: readonly Endpoint[]): void {
    const members = endpoints.filter((endpoint) => endpoint.weight > 0).sort(byUrl);
    if (!sameShares(members, this.#members)) this.#slots = fill(members);
    this.#members = members;
  }

  pick(hash: number): Endpoint | undefined {
    const slots = this.#slots;
    return slots.length === 0 ? undefined : this.#members[slots[hash % slots.length]!];
  }
}

/**
 * In rounds: each member takes its next free slot, in an order of slots of its own. The heaviest takes one a round, the
 * others as often as their weight allows.
 */
function fill(members: readonly Candidate[]): Int32Array<ArrayBuffer> {
  if (members.length === 0) return new Int32Array(0);
  const size = SIZES.find((step) => members.length <= step.upTo)!.slots;
  const slots = new Int32Array(size).fill(FREE);
  const heaviest = members.reduce((most, member) => Math.max(most, member.weight), 0);
  const next = Int32Array.from(members, (member) => hashString(member.url) % size);
  const skip = Int32Array.from(members, (member) => (hashString(member.url, 1) % (size - 1)) + 1);
  const earned = new Float64Array(members.length);

  for (let left = size; ;) {
    for (let index = 0; index < members.length; index++) {
      earned[index]! += members[index]!.weight / heaviest;
      if (earned[index]! < 1) continue;
      earned[index]! -= 1;
      let slot = next[index]!;
      while (slots[slot] !== FREE) slot = (slot + skip[index]!) % size;
      slots[slot] = index;
      next[index] = slot;
      if (--left === 0) return slots;
    }
  }
}

/** By code unit: a locale could differ between machines. */
function byUrl(a: Candidate, b: Candidate): number {
  return a.url < b.url ? -1 : a.url > b.url ? 1 : 0;
}

function sameShares(some: readonly Candidate[], others: readonly Candidate[]): boolean {
  return (
    some.length === others.length &&
    some.every((one, index) => one.url === others[index]!.url && one.weight === others[index]!.weight)
  );
}
