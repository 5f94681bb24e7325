/** Cookies read one at a time: most requests have several, and only one is ours. */

/** The first of that name in a Cookie field (RFC 6265 §4.2.1), or several joined. @returns undefined when there is none. */
export function cookieValue(field: string, name: string): string | undefined {
  let at = field.indexOf(name);
  for (; at !== -1; at = field.indexOf(name, at + 1)) {
    const equals = at + name.length;
    if (field[equals] !== '=' || !isBorder(field, at - 1)) continue;
    let end = equals + 1;
    while (end < field.length && field[end] !== ';' && field[end] !== ',') end++;
    return field.slice(equals + 1, end).trim();
  }
  return undefined;
}

function isBorder(field: string, at: number): boolean {
  const before = at < 0 ? ';' : field[at];
  return before === ';' || before === ' ' || before === ',' || before === '\t';
}

/** The value of a cookie that an answer sets; undefined when it sets none of that name, or takes it away. */
export function setCookieValue(fields: readonly string[], name: string): string | undefined {
  for (let at = 0; at < fields.length; at += 2) {
    const field = fields[at]!;
    if (field.length !== 10 || field.toLowerCase() !== 'set-cookie') continue;
    const value = fields[at + 1]!;
    if (!value.startsWith(name) || value[name.length] !== '=') continue;
    const end = value.indexOf(';');
    const set = value.slice(name.length + 1, end === -1 ? undefined : end).trim();
    if (set !== '') return set;
  }
  return undefined;
}
