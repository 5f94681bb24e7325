/**
 * A document against its schema, in plain words. ajv finds what is wrong; this turns what it says of JSON Schema into
 * what the writer should do, and of the many complaints of a union keeps those of the branch that was meant.
 */
import type { ErrorObject, ValidateFunction } from 'ajv';
import { child, type Document } from './document.ts';
import { isObject } from './merge.ts';
import { didYouMean } from './nearest.ts';
import type { Problem } from './problem.ts';
import type { JsonSchema } from './user-schema.ts';
import { describe, describeValue, rewritten } from './wording.ts';

/** Everything that is wrong with `value`. @param at where in the document it stands, as a JSON pointer. */
export function validate(check: ValidateFunction, value: unknown, document: Document, at = ''): Problem[] {
  if (check(value)) return [];
  return condense(check.errors ?? []).map((fault) => tell(fault, document, at + fault.instancePath));
}

type Fault = Pick<ErrorObject, 'keyword' | 'instancePath' | 'params' | 'message' | 'data'> & {
  readonly schemaPath: string;
  readonly parentSchema: JsonSchema;
};

// --- unions ----------------------------------------------------------------------------------------------------------

/** Replaces the complaints of all branches of each union by those of one. */
function condense(errors: readonly ErrorObject[]): Fault[] {
  let faults = errors as readonly Fault[];
  for (;;) {
    const union = outermost(faults);
    if (union === undefined) return [...faults];
    const prefix = `${union.schemaPath}/`;
    const inside = (fault: Fault) =>
      fault.schemaPath.startsWith(prefix) && isWithin(fault.instancePath, union.instancePath);
    const kept = meant(union, faults.filter(inside), prefix);
    faults = faults.flatMap((fault) => (fault === union ? kept : inside(fault) ? [] : [fault]));
  }
}

const isUnresolved = (fault: Fault) => fault.keyword === 'anyOf';

function outermost(faults: readonly Fault[]): Fault | undefined {
  return faults
    .filter(isUnresolved)
    .reduce<Fault | undefined>(
      (least, fault) => (least && least.schemaPath.length <= fault.schemaPath.length ? least : fault),
      undefined,
    );
}

function isWithin(path: string, outer: string): boolean {
  return path === outer || path.startsWith(`${outer}/`);
}

/** The complaints of the branch that fits best; one complaint of its own where that says more. */
function meant(union: Fault, inside: readonly Fault[], prefix: string): Fault[] {
  const branches = union.parentSchema.anyOf ?? [];
  const [best] = branches
    .map((branch, index) => ({
      branch,
      faults: inside.filter((fault) => fault.schemaPath.startsWith(`${prefix}${index}/`)),
    }))
    .filter(({ branch }) => isAlike(branch, union.data))
    .sort(
      (a, b) =>
        strangeness(a.branch, union.data) - strangeness(b.branch, union.data) || a.faults.length - b.faults.length,
    );
  const isWord = !isObject(union.data) && !Array.isArray(union.data);
  // A word that is none of those allowed: name all that are.
  if (best === undefined || (isWord && best.faults.some((fault) => SHAPE.has(fault.keyword)))) {
    return [{ ...union, keyword: 'union' }];
  }
  return best.faults;
}

/** What a value is, as against how much of it. */
const SHAPE = new Set(['type', 'enum', 'const', 'pattern', 'anyOf', 'union']);

/** Of the same kind: text for text, an object for an object. */
function isAlike(branch: JsonSchema, data: unknown): boolean {
  if (branch.anyOf !== undefined) return branch.anyOf.some((inner) => isAlike(inner, data));
  const samples = branch.enum ?? ('const' in branch ? [branch.const] : undefined);
  if (samples !== undefined) return samples.some((sample) => typeof sample === typeof data);
  if (branch.type === 'integer') return typeof data === 'number';
  if (branch.type === 'array') return Array.isArray(data);
  if (branch.type === 'object') return isObject(data);
  return branch.type === typeof data;
}

/** How many keys of an object a branch does not know or misses. */
function strangeness(branch: JsonSchema, data: unknown): number {
  if (!isObject(data) || branch.properties === undefined) return 0;
  const { properties, required = [] } = branch;
  return (
    Object.keys(data).filter((key) => !Object.hasOwn(properties, key)).length +
    required.filter((key) => !Object.hasOwn(data, key)).length
  );
}

// --- words -----------------------------------------------------------------------------------------------------------

function tell(fault: Fault, document: Document, at: string): Problem {
  const { keyword, params, parentSchema, data } = fault;
  if (keyword === 'additionalProperties') {
    const key = String(params.additionalProperty);
    const known = Object.keys(parentSchema.properties ?? {});
    const hint = didYouMean(key, known) ?? (known.length > 0 ? `known here: ${known.join(', ')}` : undefined);
    return document.error(document.keyAt(child(at, key)), `unknown key '${key}'`, hint);
  }
  if (keyword === 'required') {
    const key = String(params.missingProperty);
    const what = parentSchema.properties?.[key];
    return document.error(
      document.keyAt(at),
      `missing key '${key}'`,
      what === undefined ? undefined : `expected ${describe(what)}`,
    );
  }
  const place = document.valueAt(at);
  const got = describeValue(data);
  if (keyword === 'minimum') return document.error(place, `expected at least ${params.limit}, got ${String(data)}`);
  if (keyword === 'maximum') return document.error(place, `expected at most ${params.limit}, got ${String(data)}`);
  if (keyword === 'exclusiveMinimum')
    return document.error(place, `expected more than ${params.limit}, got ${String(data)}`);
  if (keyword === 'minItems')
    return document.error(place, `expected at least ${params.limit} in this list, got ${lengthOf(data)}`);
  if (keyword === 'maxItems')
    return document.error(place, `expected at most ${params.limit} in this list, got ${lengthOf(data)}`);
  if (keyword === 'minLength')
    return document.error(
      place,
      lengthOf(data) === 0
        ? 'expected text, got none'
        : `expected at least ${params.limit} characters, got ${lengthOf(data)}`,
    );
  if (keyword === 'maxLength')
    return document.error(place, `expected at most ${params.limit} characters, got ${lengthOf(data)}`);
  if (keyword === 'minProperties') return document.error(place, 'expected at least one key here, got none');
  if (SHAPE.has(keyword)) {
    return document.error(place, `expected ${describe(parentSchema)}, got ${got}`, rewritten(parentSchema, data));
  }
  return document.error(place, fault.message ?? 'is not valid');
}

const lengthOf = (data: unknown) => (typeof data === 'string' || Array.isArray(data) ? data.length : 0);
