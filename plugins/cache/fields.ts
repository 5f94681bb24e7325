/** Reading and writing flat lists of fields: name, value, name, value … */

/** All values of a field as one list (RFC 9110 §5.3); undefined when it is not there. @param name in lower case. */
export function fieldOf(fields: readonly string[], name: string): string | undefined {
  let found: string | undefined;
  for (let at = 0; at < fields.length; at += 2) {
    const written = fields[at]!;
    if (written.length !== name.length || written.toLowerCase() !== name) continue;
    found = found === undefined ? fields[at + 1]! : `${found}, ${fields[at + 1]!}`;
  }
  return found;
}

export function withoutFields(fields: readonly string[], names: ReadonlySet<string>): string[] {
  const kept: string[] = [];
  for (let at = 0; at < fields.length; at += 2) {
    if (!names.has(fields[at]!.toLowerCase())) kept.push(fields[at]!, fields[at + 1]!);
  }
  return kept;
}

/** Members of a list, trimmed, without empty ones. No member may hold a comma. */
export function listOf(value: string): string[] {
  return value
    .split(',')
    .map((member) => member.trim())
    .filter((member) => member !== '');
}
