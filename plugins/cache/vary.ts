/** Which fields of a request chose an answer (RFC 9111 §4.1), and what it said in them, in one spelling. */
import { fieldOf, listOf } from './fields.ts';

/** Codings that upstreams choose among; what else a client accepts makes no difference. */
const CODINGS = ['br', 'gzip', 'zstd', 'deflate'];
/** Lists in which case and order say nothing: weights do. */
const WEIGHTED: ReadonlySet<string> = new Set(['accept', 'accept-language', 'accept-charset']);

/** @returns names in lower case, sorted; undefined for `*`: no other request may have it. */
export function varyOf(fields: readonly string[]): readonly string[] | undefined {
  const value = fieldOf(fields, 'vary');
  if (value === undefined) return [];
  const names = new Set(listOf(value.toLowerCase()));
  return names.has('*') ? undefined : [...names].sort();
}

/** What a request says in the fields that choose. */
export function variantOf(names: readonly string[], fields: readonly string[]): string {
  if (names.length === 0) return '';
  return JSON.stringify([names, names.map((name) => normalise(name, fieldOf(fields, name)))]);
}

function normalise(name: string, value: string | undefined): string | null {
  if (name === 'accept-encoding') return acceptedCodings(value);
  if (value === undefined) return null;
  // Space around commas means nothing in any list, and a field of several lines is the list of all.
  if (!WEIGHTED.has(name)) return value.replace(/[ \t]*,[ \t]*/g, ',').trim();
  const members = listOf(value.toLowerCase()).map((member) => member.replace(/\s*([;=])\s*/g, '$1'));
  return members.sort().join(',');
}

/** RFC 9110 §12.5.3: which codings may be used at all; and only that, for clients spell the same wish in many ways. */
function acceptedCodings(value: string | undefined): string {
  if (value === undefined) return '';
  const weights = new Map<string, number>();
  for (const member of listOf(value.toLowerCase())) {
    const [coding = '', ...parameters] = member.split(';').map((part) => part.trim());
    const weight = parameters.find((parameter) => parameter.startsWith('q='));
    weights.set(coding === 'x-gzip' ? 'gzip' : coding, weight === undefined ? 1 : Number(weight.slice(2)));
  }
  const any = weights.get('*') ?? 0;
  const accepted = CODINGS.filter((coding) => (weights.get(coding) ?? any) > 0);
  return (weights.get('identity') ?? 1) > 0 ? accepted.join(',') : `${accepted.join(',')}!identity`;
}
