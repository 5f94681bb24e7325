/** What the fields of an answer say about compressing it, and what they say once it is. All arrays are flat: name, value, … */

export interface AnswerFacts {
  readonly type: string | undefined;
  /** In a coding already, or a part of something. */
  readonly isEncoded: boolean;
  readonly isPartial: boolean;
  readonly forbidsTransform: boolean;
  /** Of the body; undefined when not announced. */
  readonly length: number | undefined;
}

export function readFacts(fields: readonly string[]): AnswerFacts {
  let type: string | undefined;
  let isEncoded = false;
  let isPartial = false;
  let forbidsTransform = false;
  let length: number | undefined;
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at]!;
    const value = fields[at + 1]!;
    // Most fields differ from all of these in length already.
    if (name.length < 12 || name.length > 16) continue;
    const lowerName = name.toLowerCase();
    if (lowerName === 'content-type') type = value;
    else if (lowerName === 'content-encoding') isEncoded ||= !isIdentity(value);
    else if (lowerName === 'content-range') isPartial = true;
    else if (lowerName === 'content-length') length = Number(value);
    else if (lowerName === 'cache-control') forbidsTransform ||= hasNoTransform(value);
  }
  return { type, isEncoded, isPartial, forbidsTransform, length };
}

const isIdentity = (coding: string) => coding.toLowerCase() === 'identity';

/** RFC 9111 §5.2.1.6 of a request, §5.2.2.6 of an answer. */
export function hasNoTransform(cacheControl: string): boolean {
  return /(?:^|[\s,])no-transform(?:$|[\s,=])/i.test(cacheControl);
}

/**
 * What holds of the bytes that the upstream sent and not of ours. RFC 9530 §2 and §3: both digests are of the coded form.
 * RFC 9110 §14.3: parts of a body that is made anew each time would not fit together.
 */
const OUTDATED: ReadonlySet<string> = new Set([
  'content-length',
  'content-encoding',
  'content-md5',
  'content-digest',
  'repr-digest',
  'digest',
  'accept-ranges',
]);

/** Changes the fields in place to those of the same answer in a coding. */
export function restate(fields: string[], coding: string): void {
  let kept = 0;
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at]!;
    const lowerName = name.toLowerCase();
    if (OUTDATED.has(lowerName)) continue;
    fields[kept++] = name;
    fields[kept++] = lowerName === 'etag' ? weak(fields[at + 1]!) : fields[at + 1]!;
  }
  fields.length = kept;
  fields.push('content-encoding', coding);
}

/** Trailers without what holds of other bytes; undefined when none are left. */
export function restateTrailers(trailers: readonly string[] | undefined): string[] | undefined {
  if (trailers === undefined) return undefined;
  const kept: string[] = [];
  for (let at = 0; at < trailers.length; at += 2) {
    if (!OUTDATED.has(trailers[at]!.toLowerCase())) kept.push(trailers[at]!, trailers[at + 1]!);
  }
  return kept.length === 0 ? undefined : kept;
}

/** RFC 9110 §8.8.3.3: the coded form and the plain one are not the same bytes, so they cannot share a strong validator. */
const weak = (etag: string) => (etag.startsWith('W/') ? etag : `W/${etag}`);

/**
 * A 304 says what the 200 would (RFC 9110 §15.4.5). Whether that would have been compressed is not written on it, but a
 * client that asks by the weak form of this strong tag has it from us.
 * @returns whether it was so.
 */
export function restateNotModified(fields: string[], ifNoneMatch: string | undefined): boolean {
  if (ifNoneMatch === undefined) return false;
  for (let at = 0; at < fields.length; at += 2) {
    if (fields[at]!.length !== 4 || fields[at]!.toLowerCase() !== 'etag') continue;
    const weakened = weak(fields[at + 1]!);
    if (weakened === fields[at + 1] || !ifNoneMatch.includes(weakened)) return false;
    fields[at + 1] = weakened;
    return true;
  }
  return false;
}
