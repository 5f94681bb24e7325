import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../src/clock.ts';
import { FakeClock } from '../../test/support/fake-clock.ts';
import { Waiting, WaitingLine } from './waiting-line.ts';

class Entry extends Waiting {
  readonly #onLate: () => void;

  constructor(onLate: () => void = () => {}) {
    super();
    this.#onLate = onLate;
  }

  override onLate(): void {
    this.#onLate();
  }
}

function lineOfThree() {
  const clock = new FakeClock();
  const line = new WaitingLine(clock);
  const late: string[] = [];
  const entries = ['first', 'second', 'third'].map((name) => new Entry(() => late.push(name)));
  for (const entry of entries) {
    line.join(entry, clock.now(), 50);
    clock.advance(10);
  }
  return { clock, line, late, entries };
}

describe('those who wait', () => {
  it('are late in their own time, on one timer', () => {
    const { clock, late } = lineOfThree();
    expect(clock.pending).toBe(1);
    clock.advance(20);
    expect(late).toEqual(['first']);
    clock.advance(10);
    expect(late).toEqual(['first', 'second']);
    clock.advance(10);
    expect(late).toEqual(['first', 'second', 'third']);
    expect(clock.pending).toBe(0);
  });

  it.each([0, 1, 2])('are not delayed by one that leaves (%i)', (leaving) => {
    const { clock, line, late, entries } = lineOfThree();
    line.leave(entries[leaving]!);
    line.leave(entries[leaving]!);
    clock.advance(1_000);
    expect(late).toEqual(['first', 'second', 'third'].toSpliced(leaving, 1));
    expect(clock.pending).toBe(0);
  });

  it('may join again when they are late, and bring others', () => {
    const clock = new FakeClock();
    const line = new WaitingLine(clock);
    const late: string[] = [];
    const other = new Entry(() => late.push('other'));
    const again = new Entry(() => {
      if (late.push('again') > 1) return;
      line.join(again, clock.now(), 50);
      line.join(other, clock.now(), 50);
    });
    line.join(again, clock.now(), 50);
    clock.advance(1_000);
    expect(late).toEqual(['again', 'again', 'other']);
    expect(clock.pending).toBe(0);
  });

  it('are each late once or have left, in whatever order they come and go', () => {
    const random = seededRandom(7);
    const clock = new FakeClock();
    const line = new WaitingLine(clock);
    const outcomes = Array.from({ length: 1_000 }, () => ({ late: 0, left: 0 }));
    const under: [Entry, (typeof outcomes)[number]][] = [];
    for (const outcome of outcomes) {
      const entry = new Entry(() => outcome.late++);
      line.join(entry, clock.now(), 20);
      under.push([entry, outcome]);
      clock.advance(Math.floor(random() * 3));
      const [leaver, its] = under[Math.floor(random() * under.length)]!;
      if (random() < 0.5 || its.late + its.left > 0) continue;
      line.leave(leaver);
      its.left++;
    }
    clock.advance(20);
    expect(outcomes.every(({ late, left }) => late + left === 1)).toBe(true);
    expect(clock.pending).toBe(0);
  });
});
