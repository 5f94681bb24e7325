/**
 * Edits of header fields that users write: set, add, remove. Compiled once to one function that changes a flat array in
 * place, in one pass. Names are compared without case and keep the case they were written in.
 */
import type { FieldEditsConfig, MessageFieldEditsConfig } from '../config/field-edits-schema.ts';
import type { ConfigFault } from '../extension.ts';
import http from '../node-http.ts';

/** Changes a flat array (name, value, …) in place. */
export type FieldEdit = (fields: string[]) => void;

/** What happens to a field that is there: it gets `value`, or goes. */
interface Replacement {
  readonly name: string;
  readonly lowerName: string;
  readonly value: string | undefined;
  /** Within one run: the first of its name was met. */
  met: boolean;
}

/** undefined when there is nothing to edit. Removes and sets first, then adds. */
export function compileFieldEdits(config: FieldEditsConfig | undefined): FieldEdit | undefined {
  if (config === undefined) return undefined;
  const sets = Object.entries(config.set ?? {}).map(([name, value]) => replacement(name, value));
  const replacements = [...sets, ...(config.remove ?? []).map((name) => replacement(name, undefined))];
  const added = Object.entries(config.add ?? {}).flatMap(([name, values]) =>
    [values].flat().flatMap((value) => [name, value]),
  );
  if (replacements.length === 0 && added.length === 0) return undefined;

  // Most fields of a message differ from all edited ones in length already.
  const byLength: Replacement[][] = [];
  for (const each of replacements) (byLength[each.name.length] ??= []).push(each);

  return (fields) => {
    if (replacements.length > 0) replaceFields(fields, byLength);
    for (const set of sets) {
      if (!set.met) fields.push(set.name, set.value as string);
      set.met = false;
    }
    for (const text of added) fields.push(text);
  };
}

function replacement(name: string, value: string | undefined): Replacement {
  return { name, lowerName: name.toLowerCase(), value, met: false };
}

function replaceFields(fields: string[], byLength: readonly (readonly Replacement[] | undefined)[]): void {
  let kept = 0;
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at] as string;
    const found = find(byLength[name.length], name);
    if (found !== undefined && (found.value === undefined || found.met)) continue;
    fields[kept] = name;
    fields[kept + 1] = found?.value ?? (fields[at + 1] as string);
    kept += 2;
    if (found !== undefined) found.met = true;
  }
  fields.length = kept;
}

function find(replacements: readonly Replacement[] | undefined, name: string): Replacement | undefined {
  if (replacements === undefined) return undefined;
  const lowerName = name.toLowerCase();
  for (const each of replacements) if (each.lowerName === lowerName) return each;
  return undefined;
}

/** Fields that say how the message travels (RFC 9110 §7.6.1, RFC 9112 §6): the gateway's own business on each connection. */
const FRAMING = new Set([
  'connection',
  'content-length',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** What the schema cannot say: names and values that no message may hold, fields that are not the user's to edit. */
export function checkFieldEdits(config: MessageFieldEditsConfig): readonly ConfigFault[] {
  const faults: ConfigFault[] = [];
  for (const side of ['request', 'response'] as const) {
    const { set = {}, add = {}, remove = [] } = config[side] ?? {};
    const fault = (path: ConfigFault['path'], message: string | undefined): void => {
      if (message !== undefined) faults.push({ path: [side, ...path], message });
    };
    for (const [name, value] of Object.entries(set)) {
      fault(['set', name], nameFault(name, side) ?? valueFault(name, value));
    }
    for (const [name, values] of Object.entries(add)) {
      fault(
        ['add', name],
        nameFault(name, side) ??
          [values]
            .flat()
            .map((value) => valueFault(name, value))
            .find(Boolean),
      );
    }
    for (const name of Object.keys(set)) {
      const twins = Object.keys(set).filter((other) => other.toLowerCase() === name.toLowerCase());
      if (twins[0] !== name) fault(['set', name], `field '${name}' is set twice: names are compared without case`);
    }
    const written = new Set([...Object.keys(set), ...Object.keys(add)].map((name) => name.toLowerCase()));
    remove.forEach((name, index) => {
      const contradicts = written.has(name.toLowerCase());
      fault(
        ['remove', index],
        nameFault(name, side) ??
          (contradicts ? `field '${name}' is removed and written: set alone replaces it` : undefined),
      );
    });
  }
  return faults;
}

function nameFault(name: string, side: 'request' | 'response'): string | undefined {
  const lowerName = name.toLowerCase();
  if (!isToken(name)) return `'${name}' is not a field name`;
  if (FRAMING.has(lowerName)) return `field '${name}' belongs to one connection and is the gateway's own`;
  if (lowerName === 'host')
    return side === 'request' ? `field 'host' is set by rewrite: { host: … }` : `field 'host' is not part of an answer`;
  if (lowerName.startsWith('x-aya-') && side === 'request') return `field '${name}': the gateway itself writes x-aya-*`;
  return undefined;
}

function isToken(name: string): boolean {
  try {
    http.validateHeaderName(name);
    return true;
  } catch {
    return false;
  }
}

/** RFC 9110 §5.5, without obs-text: bytes beyond ASCII mean something else to every reader. */
function valueFault(name: string, value: string): string | undefined {
  if (!/^[\t\x20-\x7e]*$/.test(value)) return `field '${name}': a value holds visible ASCII, spaces and tabs only`;
  return value === value.trim() ? undefined : `field '${name}': a value neither begins nor ends with a space`;
}
