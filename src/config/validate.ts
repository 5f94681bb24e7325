/**
 * A document against its schema, in plain words. ajv finds what is wrong; this turns what it says of JSON Schema into
 * what the writer should do, and of the many complaints of a union keeps those of the branch that was meant.
 */
import type { ErrorObject, ValidateFunction } from 'ajv';
import { child, type Document } from './document.ts';
import { isObject } from './merge.ts';
import { didYouMean } from './nearest.ts';
import type { Problem } from './problem.ts';
import { SECRET_NAME } from './redact.ts';
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
  return isAny(branches, union.data) ? best.faults : [{ ...union, keyword: 'union' }];
}

/** Whether a key of an object tells one branch from the others; where none does, no branch was meant more than another. */
function isAny(branches: readonly JsonSchema[], data: unknown): boolean {
  const objects = branches.filter(({ properties }) => properties !== undefined);
  if (!isObject(data) || objects.length < 2) return true;
  const keys = Object.keys(data);
  if (keys.length === 0) return true;
  return keys.some((key) => {
    const count = objects.filter(({ properties }) => Object.hasOwn(properties!, key)).length;
    return count > 0 && count < objects.length;
  });
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
    const hint = what === undefined ? undefined : `expected ${describe(what)}`;
    return document.error(document.keyAt(at), `missing key '${key}'`, hint);
  }
  const place = document.valueAt(at);
  if (SHAPE.has(keyword)) {
    const expected = `expected ${describe(parentSchema)}`;
    const hint = rewritten(parentSchema, data);
    if (!isSecret(at)) return document.error(place, `${expected}, got ${describeValue(data)}`, hint);
    const isToQuote = hint !== undefined && typeof data !== 'string';
    return document.error(place, `${expected}, got ${kindOf(data)}`, isToQuote ? 'put it in quotes?' : undefined);
  }
  const bound = BOUNDS[keyword]?.(Number(params.limit));
  if (bound === undefined) return document.error(place, fault.message ?? 'is not valid');
  return document.error(place, `expected ${bound}, got ${amountOf(data)}`);
}

/** What was written there may be a password in the place of its hash: it is not repeated in any log. */
function isSecret(at: string): boolean {
  const [name = ''] = at
    .split('/')
    .filter((step) => !/^\d+$/.test(step))
    .slice(-1);
  return SECRET_NAME.test(name) || name === 'sha256';
}

function kindOf(data: unknown): string {
  if (typeof data === 'string') return 'text';
  return typeof data === 'number' ? 'a number' : describeValue(data);
}

const BOUNDS: Readonly<Record<string, (limit: number) => string>> = {
  minimum: (limit) => `at least ${limit}`,
  maximum: (limit) => `at most ${limit}`,
  exclusiveMinimum: (limit) => `more than ${limit}`,
  minItems: (limit) => `at least ${limit} in this list`,
  maxItems: (limit) => `at most ${limit} in this list`,
  minLength: (limit) => (limit === 1 ? 'text' : `at least ${limit} characters`),
  maxLength: (limit) => `at most ${limit} characters`,
  minProperties: (limit) => (limit === 1 ? 'at least one key' : `at least ${limit} keys`),
};

function amountOf(data: unknown): number | string {
  const amount = typeof data === 'number' ? data : Object.keys(Object(data)).length;
  return amount === 0 && typeof data !== 'number' ? 'none' : amount;
}
