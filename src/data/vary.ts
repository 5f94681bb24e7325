/** Says that the answer depends on a field of the request, beside what an upstream says, unless that covers it. */
export function addVary(fields: string[], name: string): void {
  for (let at = 0; at < fields.length; at += 2) {
    if (fields[at]!.length !== 4 || fields[at]!.toLowerCase() !== 'vary') continue;
    const members = fields[at + 1]!.split(',').map((member) => member.trim().toLowerCase());
    if (members.includes('*') || members.includes(name.toLowerCase())) return;
  }
  fields.push('vary', name);
}
