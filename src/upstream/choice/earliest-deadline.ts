/**
 * Smooth weighted turns: everyone's turn comes each `1 / weight`, and the earliest goes next. A binary heap, so a turn
 * costs O(log n) and memory does not grow with the weights; shares are exact to one turn over any stretch. Phases start
 * at random, so that threads and gateways do not move in step.
 */
import type { Random } from '../../clock.ts';

export interface Turning {
  readonly row: number;
  readonly weight: number;
}

export class EarliestDeadline<Member extends Turning> {
  readonly #random: Random;
  #heap: Member[] = [];
  /** Deadline of each member of the heap, at the same place. */
  #due = new Float64Array(0);
  #now = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** A member that stays keeps the part of its turn that is still to come, also when its weight changes. */
  update(members: readonly Member[]): void {
    const phases = new Map(this.#heap.map((member, at) => [member.row, (this.#due[at]! - this.#now) * member.weight]));
    const dueOf = (member: Member) => (phases.get(member.row) ?? this.#random()) / member.weight;
    const order = members.map((member) => ({ member, due: dueOf(member) })).sort((a, b) => a.due - b.due);
    this.#heap = order.map((entry) => entry.member);
    this.#due = Float64Array.from(order, (entry) => entry.due);
    this.#now = 0;
  }

  /** The set must not be empty. */
  next(): Member {
    const member = this.#heap[0]!;
    this.#now = this.#due[0]!;
    this.#sink(member, this.#now + 1 / member.weight);
    return member;
  }

  /** Puts the member that had the top back where its new deadline belongs. */
  #sink(member: Member, due: number): void {
    const heap = this.#heap;
    const dues = this.#due;
    let hole = 0;
    for (;;) {
      let child = 2 * hole + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && dues[child + 1]! < dues[child]!) child++;
      if (due <= dues[child]!) break;
      heap[hole] = heap[child]!;
      dues[hole] = dues[child]!;
      hole = child;
    }
    heap[hole] = member;
    dues[hole] = due;
  }
}
