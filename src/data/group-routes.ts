/**
 * Which routes the groups of a caller leave to it. A group that names routes restricts its members to them; whoever is in
 * several of those may use what any of them names. Groups that name none, and callers in none, are not restricted.
 */
import type { GroupConfig } from '../config/schema.ts';

/** Whether somebody in these groups may use the route. */
export type GroupRule = (memberOf: readonly string[]) => boolean;

/** @returns undefined where everybody may, because no group restricts anybody. */
export function compileGroupRule(groups: Readonly<Record<string, GroupConfig>>, route: string): GroupRule | undefined {
  const restricting = Object.entries(groups).filter(([, { routes }]) => routes !== undefined);
  if (restricting.length === 0) return undefined;
  const allows = new Map(restricting.map(([name, { routes }]) => [name, routes!.includes(route)]));
  return (memberOf) => {
    let isRestricted = false;
    for (const group of memberOf) {
      const allowed = allows.get(group);
      if (allowed === true) return true;
      if (allowed === false) isRestricted = true;
    }
    return !isRestricted;
  };
}
