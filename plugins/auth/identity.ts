/** What the upstream learns of the caller. A client's own `x-aya-*` fields were dropped with the head. */
import type { Principal } from '../../src/data/principal.ts';
import type { IdentityTokens } from './identity-tokens.ts';

/** @param fields flat, of the request as it goes on. */
export function tellUpstream(principal: Principal, fields: string[], tokens?: IdentityTokens): void {
  const { consumer, subject, groups } = principal;
  if (consumer !== undefined) fields.push('x-aya-consumer', consumer.name);
  if (subject !== '') fields.push('x-aya-principal', fieldText(subject));
  if (groups.length > 0) fields.push('x-aya-groups', groups.map((group) => fieldText(group, OTHERS_IN_LIST)).join(','));
  if (tokens !== undefined) fields.push(tokens.header, tokens.about(principal));
}

/**
 * Text as it may stand in a field, and, with `,` among the rest, in a list in a field: what is not visible ASCII or a
 * space is percent-encoded, and so is `%`, and spaces at the ends, which readers drop.
 */
function fieldText(text: string, rest = OTHERS): string {
  return text.toWellFormed().replace(rest, encodeURIComponent);
}

// Looking behind keeps long runs of spaces linear: each is tried from its start alone.
const OTHERS = /^ +|[^ -$&-~]+|(?<! ) +$/g;
const OTHERS_IN_LIST = /[^!-$&-+\--~]+/g;
