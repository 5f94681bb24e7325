/** The known word that was probably meant. */

/** The word nearest to `written`, unless all are so far from it that naming one would mislead. */
export function nearest(written: string, known: Iterable<string>): string | undefined {
  const wanted = plain(written);
  // A third of the letters may be wrong; of very short words, one.
  let least = Math.max(1, Math.floor(wanted.length / 3)) + 1;
  let found: string | undefined;
  for (const word of known) {
    const distance = editDistance(wanted, plain(word));
    if (distance >= least) continue;
    least = distance;
    found = word;
  }
  return found ?? lengthened(wanted, known);
}

const LEAST_BEGINNING = 4;

/** Peers cut words short: `leastconn`, `least_conn`. One that begins several says nothing. */
function lengthened(beginning: string, known: Iterable<string>): string | undefined {
  const [word, ...others] = [...known].filter((each) => plain(each).startsWith(beginning));
  return beginning.length >= LEAST_BEGINNING && others.length === 0 ? word : undefined;
}

export function didYouMean(written: string, known: Iterable<string>): string | undefined {
  const word = nearest(written, known);
  return word === undefined ? undefined : `did you mean '${word}'?`;
}

/** `max_in_flight`, `max-in-flight` and `maxInFlight` are one word spelt three ways. */
const plain = (word: string) => word.replace(/[-_\s]/g, '').toLowerCase();

/** Damerau–Levenshtein (optimal string alignment): letters missing, added, replaced, or two neighbours swapped. */
export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + (same ? 0 : 1));
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) cost = Math.min(cost, beforeLast[j - 2]! + 1);
      row.push(cost);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length]!;
}
