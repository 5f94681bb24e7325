/**
 * What a client wants of what we offer (RFC 9110 §12.5.3). Never nothing at all: an answer that cannot have a wanted coding
 * goes as it is, since a 406 would help nobody.
 */

export type Coding = 'zstd' | 'br' | 'gzip';

/** @returns undefined: as it is. */
export type Choice = (acceptEncoding: string) => Coding | undefined;

/** Few different ones are in use; those of an attacker may be many. */
const MAX_REMEMBERED = 256;
const LONGEST_REMEMBERED = 128;

/** @param offered in our order of preference. */
export function compileChoice(offered: readonly Coding[]): Choice {
  const remembered = new Map<string, Coding | undefined>();
  return (acceptEncoding) => {
    const known = remembered.get(acceptEncoding);
    if (known !== undefined || remembered.has(acceptEncoding)) return known;
    const chosen = choose(acceptEncoding, offered);
    if (acceptEncoding.length > LONGEST_REMEMBERED) return chosen;
    if (remembered.size === MAX_REMEMBERED) remembered.clear();
    remembered.set(acceptEncoding, chosen);
    return chosen;
  };
}

function choose(acceptEncoding: string, offered: readonly Coding[]): Coding | undefined {
  const weights = readWeights(acceptEncoding);
  const others = weights.get('*') ?? 0;
  let best: Coding | undefined;
  // What is not named is the last resort, and so is what is only as good: whoever names codings wants them.
  let bestWeight = 0;
  for (const coding of offered) {
    const weight = weights.get(coding) ?? others;
    if (weight <= bestWeight) continue;
    best = coding;
    bestWeight = weight;
  }
  return bestWeight < (weights.get('identity') ?? 0) ? undefined : best;
}

const MEMBER = /^([!#$%&'*+.^_`|~0-9a-z-]+)(?:[ \t]*;[ \t]*q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?))?$/;

/** A member that is not well formed wants nothing. Of one that comes twice the first counts. */
function readWeights(acceptEncoding: string): ReadonlyMap<string, number> {
  const weights = new Map<string, number>();
  for (const member of acceptEncoding.toLowerCase().split(',')) {
    const [, written, weight = '1'] = MEMBER.exec(member.trim()) ?? [];
    if (written === undefined) continue;
    // RFC 9110 §8.4.1.3: the name it had before there were names.
    const coding = written === 'x-gzip' ? 'gzip' : written;
    if (!weights.has(coding)) weights.set(coding, Number(weight));
  }
  return weights;
}
