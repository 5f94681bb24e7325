/** Who of a pool may be picked. The data threads choose by it, and the control plane and `aya explain` tell by it. */
import type { PanicConfig } from '../config/schema.ts';
import { ENDPOINT } from '../memory/endpoint-table.ts';

export interface Choice<Member> {
  readonly candidates: readonly Member[];
  /** Those that would be too, were their breakers closed: they are given probes. */
  readonly broken: readonly Member[];
}

/** Without those that have not passed a check yet, while there are others: neither do they serve, nor are they missed. */
export function settled<Member>(members: readonly Member[], isJoining: (member: Member) => boolean): readonly Member[] {
  const others = members.filter((member) => !isJoining(member));
  return others.length === 0 ? members : others;
}

/** By the status of one that is `settled`. */
export const isAvailable = (status: number): boolean => (status & ~ENDPOINT.joining) === 0;

/**
 * Health first: the available ones; when too few are to trust the verdicts, all of them (panic); backups only when no other
 * endpoint is available. Of those, the ones whose breakers are closed; where none is, backups that can.
 *
 * A breaker has no part in panic, neither way. Panic asks whether the verdicts on health can be right, and an open breaker is
 * none: it bounds what is asked of an endpoint that cannot take it, as Envoy's thresholds do, and asking more of all would
 * undo just that.
 */
export function chooseCandidates<Member extends { readonly backup: boolean }>(
  members: readonly Member[],
  panic: PanicConfig,
  isAvailable: (member: Member) => boolean,
  isClosed: (member: Member) => boolean,
): Choice<Member> {
  const chosen = byHealth(members, panic, isAvailable);
  const broken = chosen.filter((member) => !isClosed(member));
  if (broken.length === 0) return { candidates: chosen, broken };
  if (broken.length < chosen.length) return { candidates: chosen.filter((member) => !broken.includes(member)), broken };
  const backups = members.filter((member) => member.backup && !chosen.includes(member) && isAvailable(member));
  const closed = backups.filter(isClosed);
  return { candidates: closed, broken: [...broken, ...backups.filter((member) => !closed.includes(member))] };
}

function byHealth<Member extends { readonly backup: boolean }>(
  members: readonly Member[],
  panic: PanicConfig,
  isAvailable: (member: Member) => boolean,
): readonly Member[] {
  const primary = members.filter((member) => !member.backup);
  const available = primary.filter(isAvailable);
  if (available.length === 0) {
    const backups = members.filter((member) => member.backup && isAvailable(member));
    if (backups.length > 0) return backups;
  }
  const isSpread = panic.then === 'spread' && isPanic(available.length, primary.length, panic);
  return isSpread ? primary : available;
}

/** Whether so few of a pool are available that the verdicts are not to be trusted. */
export function isPanic(available: number, members: number, panic: PanicConfig): boolean {
  return members > 0 && available < members * panic.below;
}
