/**
 * What endpoints answered, for those who compare them with each other: one region per thread, so that each cell has one
 * writer and counting is a plain add. Counts only go up; whoever wants a window subtracts what was there at its start.
 */

/** What an answer says of its endpoint. */
export const VERDICT = { ok: 0, failed: 1, ignored: 2 } as const;
export type Verdict = (typeof VERDICT)[keyof typeof VERDICT];

/** Half an octave each: a median of them is right within a fifth, whatever single slow answers there are. */
const BUCKETS = 48;
const BUCKETS_PER_OCTAVE = 2;
const SHORTEST_MS = 1 / 16;

const VERDICTS = 2;
/** `ok`, `failed`, then how many good answers took how long. */
export const SAMPLE_CELLS = VERDICTS + BUCKETS;

export class SampleTable {
  readonly #regions: readonly Uint32Array[];

  static bytes(capacity: number, threads: number): number {
    return capacity * threads * SAMPLE_CELLS * 4;
  }

  /** @param offset a multiple of four. */
  constructor(shared: SharedArrayBuffer, offset: number, capacity: number, threads: number) {
    const cells = capacity * SAMPLE_CELLS;
    this.#regions = Array.from(
      { length: threads },
      (_, thread) => new Uint32Array(shared, offset + thread * cells * 4, cells),
    );
  }

  reset(row: number): void {
    for (const region of this.#regions) region.fill(0, row * SAMPLE_CELLS, (row + 1) * SAMPLE_CELLS);
  }

  /** Of thread `thread`, which alone may call it. */
  add(row: number, thread: number, verdict: Verdict, durationMs: number): void {
    if (verdict === VERDICT.ignored) return;
    const region = this.#regions[thread]!;
    const at = row * SAMPLE_CELLS;
    region[at + verdict]! += 1;
    if (verdict === VERDICT.ok) region[at + VERDICTS + bucketOf(durationMs)]! += 1;
  }

  /** Adds up all threads. */
  read(row: number): Uint32Array {
    const sums = new Uint32Array(SAMPLE_CELLS);
    for (const region of this.#regions) {
      for (let cell = 0; cell < SAMPLE_CELLS; cell++) sums[cell]! += region[row * SAMPLE_CELLS + cell]!;
    }
    return sums;
  }
}

/** What came between two readings. */
export interface Sample {
  readonly ok: number;
  readonly failed: number;
  /** Of good answers; NaN when there were none. */
  readonly medianMs: number;
}

export function sampleBetween(before: Uint32Array, after: Uint32Array): Sample {
  // Cells are of 32 bits and wrap around; so does their difference.
  const grown = after.map((count, cell) => count - before[cell]!);
  return { ok: grown[VERDICT.ok]!, failed: grown[VERDICT.failed]!, medianMs: median(grown.subarray(VERDICTS)) };
}

function median(buckets: Uint32Array): number {
  const total = buckets.reduce((sum, count) => sum + count, 0);
  let passed = 0;
  for (let bucket = 0; bucket < buckets.length; bucket++) {
    passed += buckets[bucket]!;
    if (total > 0 && passed * 2 >= total) return SHORTEST_MS * 2 ** ((bucket + 0.5) / BUCKETS_PER_OCTAVE);
  }
  return NaN;
}

function bucketOf(durationMs: number): number {
  const bucket = Math.floor(Math.log2(durationMs / SHORTEST_MS) * BUCKETS_PER_OCTAVE);
  return Math.max(0, Math.min(BUCKETS - 1, bucket));
}
