/** By what clients are told apart where each may have many addresses. */

/** An IPv4 address, or the first 64 bits of an IPv6 one: whoever has one of those addresses has all (RFC 6177). */
export function networkOf(address: string): string {
  if (!address.includes(':')) return address;
  const groups = groupsOf(address);
  if (groups === undefined) return address;
  const isMapped = groups[5] === 0xffff && groups.slice(0, 5).every((group) => group === 0);
  if (isMapped) return [groups[6]! >> 8, groups[6]! & 255, groups[7]! >> 8, groups[7]! & 255].join('.');
  return `${groups
    .slice(0, 4)
    .map((group) => group.toString(16))
    .join(':')}::`;
}

/** RFC 4291 §2.2: eight groups, of which one run of zeros may be left out; the last two may be written as IPv4. */
function groupsOf(address: string): number[] | undefined {
  const [before = '', after, more] = address.split('%')[0]!.split('::');
  if (more !== undefined) return undefined;
  const head = partGroups(before);
  const tail = after === undefined ? [] : partGroups(after);
  const zeros = 8 - head.length - tail.length;
  if (after === undefined ? zeros !== 0 : zeros < 1) return undefined;
  const groups = [...head, ...new Array<number>(zeros).fill(0), ...tail];
  return groups.every((group) => group >= 0 && group <= 0xffff) ? groups : undefined;
}

function partGroups(part: string): number[] {
  if (part === '') return [];
  return part.split(':').flatMap((group) => {
    if (!group.includes('.')) return [/^[\da-f]{1,4}$/i.test(group) ? parseInt(group, 16) : -1];
    const [a = -1, b = -1, c = -1, d = -1] = group.split('.').map(Number);
    return [a * 256 + b, c * 256 + d];
  });
}
