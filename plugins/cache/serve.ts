/** Gives a stored answer to a client, whole, in part, or as "you have it". It touches nothing of the upstream's side. */
import type { StoredAnswer } from '../../src/cache/stored-answer.ts';
import type { Control, ResponseHandler } from '../../src/data/dispatch.ts';
import { isNotModified, rangeOf } from './conditions.ts';
import { withoutFields } from './fields.ts';
import type { RequestTerms } from './terms.ts';

export interface Serving {
  readonly method: string;
  readonly terms: RequestTerms;
  readonly handler: ResponseHandler;
}

/** The bytes are a buffer of their own: there is nobody to hold back. */
const AT_HAND: Control = { pause() {}, resume() {}, keepBytes: () => keepNothing, abort() {} };

function keepNothing(): void {}

/** @param ageMs of the answer now. @param cacheStatus as RFC 9211 writes it. */
export function serve(
  { method, terms, handler }: Serving,
  { head }: StoredAnswer,
  body: Buffer,
  ageMs: number,
  wall: number,
  cacheStatus: string,
): void {
  handler.onStart(AT_HAND);
  if (isNotModified(head, terms, wall)) {
    const fields = withAge(withoutFields(head.fields, ABOUT_THE_BODY), ageMs, cacheStatus);
    handler.onHead(304, fields);
    handler.onEnd(undefined);
    return;
  }
  const range = terms.range === undefined || method === 'HEAD' ? 'whole' : rangeOf(head, terms, body.length);
  if (range === 'whole') {
    handler.onHead(head.status, withAge(head.fields.slice(), ageMs, cacheStatus));
    if (method !== 'HEAD' && body.length > 0) handler.onData(body);
    handler.onEnd(undefined);
    return;
  }
  if (range === 'unsatisfiable') {
    const fields = ['content-range', `bytes */${body.length}`, 'content-length', '0'];
    handler.onHead(416, withAge(fields, ageMs, cacheStatus));
    handler.onEnd(undefined);
    return;
  }
  const fields = withoutFields(head.fields, LENGTH);
  fields.push('content-range', `bytes ${range.from}-${range.to - 1}/${body.length}`);
  fields.push('content-length', String(range.to - range.from));
  handler.onHead(206, withAge(fields, ageMs, cacheStatus));
  handler.onData(body.subarray(range.from, range.to));
  handler.onEnd(undefined);
}

/** RFC 9110 §15.4.5: a client has these with what it has. */
const ABOUT_THE_BODY = new Set([
  'content-length',
  'content-encoding',
  'content-language',
  'content-type',
  'content-range',
]);
const LENGTH = new Set(['content-length']);

function withAge(fields: string[], ageMs: number, cacheStatus: string): string[] {
  fields.push('age', String(Math.floor(ageMs / 1000)), 'cache-status', cacheStatus);
  return fields;
}
