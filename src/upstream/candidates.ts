/**
 * Who of a pool may be picked, and how the load is shared between levels and zones. The data threads choose by it, and
 * panic reports, `/pools` and `aya explain` tell by it.
 */
import type { PanicConfig, PoolConfig } from '../config/schema.ts';
import { ENDPOINT } from '../memory/endpoint-table.ts';
import { localShare, shareOut, type LevelHealth } from './levels.ts';

export interface Member {
  readonly weight: number;
  /** Where `weight` is what others have left of it. */
  readonly writtenWeight?: number;
  /** The lowest is the most preferred. */
  readonly priority: number;
  /** Behind all priorities. */
  readonly backup: boolean;
  readonly zone?: string | undefined;
}

/** How one member stands now. */
export interface Standing {
  /** Bits of ENDPOINT. */
  readonly status: number;
  /** Its breaker lets everything pass. */
  readonly isClosed: boolean;
  /** How much of its weight it can take now, starting slowly or as its agent says: 0 … 1. */
  readonly part: number;
}

export interface ChoiceRules {
  readonly panic: PanicConfig;
  readonly overprovisioning: number;
  /** The zone to prefer; undefined where none is. */
  readonly zone: string | undefined;
}

/** Members that one balancer chooses from. */
export interface Tier<One> {
  /** BACKUP for the backups. */
  readonly priority: number;
  /** Absent where zones do not matter. */
  readonly zone?: 'own' | 'others';
  /** Of the pool's load; above 0. */
  readonly share: number;
  readonly members: readonly One[];
}

export interface Choice<One> {
  /** Those who serve, the most preferred first; their shares add up to 1. Empty: nobody does. */
  readonly tiers: readonly Tier<One>[];
  /** All of their members. */
  readonly candidates: readonly One[];
  /** Those that would be too, were their breakers closed: they are given probes. */
  readonly broken: readonly One[];
  /** By level, those that could serve and have no share: for a further try, when all candidates have been tried. */
  readonly reserve: readonly (readonly One[])[];
  /** So few are available, where it matters, that the verdicts are not trusted. */
  readonly panic: boolean;
}

/** @param zone the gateway's own. */
export function choiceRules({ health, overprovisioning, zones }: PoolConfig, zone: string | undefined): ChoiceRules {
  return { panic: health.panic, overprovisioning, zone: zones === 'prefer' ? zone : undefined };
}

/** It is to get nothing new: that is no verdict on its health. */
const RELIEVED = ENDPOINT.draining | ENDPOINT.resting;

/** The level of backups. */
export const BACKUP = Infinity;

export const levelOf = ({ backup, priority }: Member): number => (backup ? BACKUP : priority);

/** By the status of one that is `settled`. */
export const isAvailable = (status: number): boolean => (status & ~ENDPOINT.joining) === 0;

/**
 * Levels first: each takes as much of the load as its health allows (levels.ts). A level of which too few are available to
 * trust the verdicts uses all of its members (panic), unless the levels together can do without. Backups are the last
 * level, and nothing spills to them while those before them can serve: they are reached when nobody else is left, or
 * when the others would panic. Within a level the gateway's own zone first.
 *
 * A breaker has no part in panic, neither way. Panic asks whether the verdicts on health can be right, and an open breaker is
 * none: it bounds what is asked of an endpoint that cannot take it, as Envoy's thresholds do, and asking more of all would
 * undo just that. It takes from a level's share, though, for the load has to go somewhere.
 *
 * One that drains, or rests as its agent wants, never serves, not even in a panic: somebody has said so. It is missed in its
 * level's capacity.
 */
export function chooseCandidates<One extends Member>(
  members: readonly One[],
  rules: ChoiceRules,
  standingOf: (member: One) => Standing,
): Choice<One> {
  const all = levelsOf(members, standingOf);
  const numbered = all.filter(({ priority }) => priority !== BACKUP);
  const [backup] = all.filter(({ priority }) => priority === BACKUP);
  let levels = numbered;
  if (backup !== undefined && backup.available.length > 0) {
    const isNeeded = numbered.every(({ closed }) => closed.capacity === 0) || panicking(numbered, rules).some(Boolean);
    if (isNeeded) levels = all;
  }
  const panics = panicking(levels, rules);
  const serving = levels.map((level, at) => servingOf(level, panics[at]! && rules.panic.then === 'spread'));
  const { shares, reached } = sharesOf(levels, serving, rules);
  const tiers = levels.flatMap(({ priority }, at) => {
    const share = shares[at]!;
    if (share === 0) return [];
    const zone = panics[at]! ? undefined : rules.zone;
    return tiersOf(priority, share, serving[at]!.closed, zone, rules.overprovisioning);
  });
  const candidates = tiers.flatMap((tier) => tier.members);
  const chosen = new Set(candidates);
  return {
    tiers,
    candidates,
    broken: serving.flatMap(({ broken }, at) => (reached[at]! ? broken : [])),
    reserve: all.map(({ spare }) => spare.filter((member) => !chosen.has(member))),
    panic: panics.some((isOn, at) => isOn && (shares[at]! > 0 || candidates.length === 0)),
  };
}

/** A member, and how it stands. */
interface Seen<One> {
  readonly member: One;
  readonly standing: Standing;
}

interface Level<One> {
  readonly priority: number;
  /** Those that may be used in a panic. */
  readonly undrained: readonly Seen<One>[];
  readonly available: readonly Seen<One>[];
  /** Those whose breakers are closed too. */
  readonly spare: readonly One[];
  /** By health alone. */
  readonly healthy: LevelHealth;
  /** With breakers and slow starts. */
  readonly closed: LevelHealth;
}

function levelsOf<One extends Member>(members: readonly One[], standingOf: (member: One) => Standing): Level<One>[] {
  const byPriority = new Map<number, Seen<One>[]>();
  for (const seen of settled(members.map((member) => ({ member, standing: standingOf(member) })))) {
    const level = byPriority.get(levelOf(seen.member));
    if (level === undefined) byPriority.set(levelOf(seen.member), [seen]);
    else level.push(seen);
  }
  return [...byPriority].sort(([a], [b]) => a - b).map(([priority, level]) => levelFrom(priority, level));
}

/** Without those that have not passed a check yet, while there are others: neither do they serve, nor are they missed. */
function settled<One>(members: readonly Seen<One>[]): readonly Seen<One>[] {
  const isJoining = ({ standing }: Seen<One>) => (standing.status & ENDPOINT.joining) !== 0;
  // Those that drain are none to wait behind.
  if (!members.some((seen) => !isJoining(seen) && (seen.standing.status & RELIEVED) === 0)) return members;
  return members.filter((seen) => !isJoining(seen));
}

function levelFrom<One extends Member>(priority: number, members: readonly Seen<One>[]): Level<One> {
  const undrained = members.filter(({ standing }) => (standing.status & RELIEVED) === 0);
  const available = undrained.filter(({ standing }) => isAvailable(standing.status));
  const closed = available.filter(({ standing }) => standing.isClosed);
  const total = members.reduce((sum, { member }) => sum + weightOf(member), 0);
  return {
    priority,
    undrained,
    available,
    spare: closed.map(({ member }) => member),
    healthy: { capacity: available.reduce((sum, { member }) => sum + weightOf(member), 0), total },
    closed: { capacity: closed.reduce((sum, seen) => sum + presentWeight(seen), 0), total },
  };
}

const weightOf = ({ weight, writtenWeight = weight }: Member) => writtenWeight;

const presentWeight = <One extends Member>({ member, standing }: Seen<One>) => weightOf(member) * standing.part;

/** By level. A level alone has nothing to rely on but itself. */
function panicking<One>(levels: readonly Level<One>[], { panic, overprovisioning }: ChoiceRules): boolean[] {
  const healthy = levels.map((level) => level.healthy);
  if (levels.length > 1 && shareOut(healthy, overprovisioning).suffices) return levels.map(() => false);
  return levels.map(
    ({ available, undrained }) => undrained.length > 0 && available.length < undrained.length * panic.below,
  );
}

interface Serving<One> {
  readonly closed: readonly Seen<One>[];
  readonly broken: readonly One[];
}

function servingOf<One>({ undrained, available }: Level<One>, isSpread: boolean): Serving<One> {
  const used = isSpread ? undrained : available;
  return {
    closed: used.filter(({ standing }) => standing.isClosed),
    broken: used.flatMap(({ member, standing }) => (standing.isClosed ? [] : [member])),
  };
}

function sharesOf<One extends Member>(
  levels: readonly Level<One>[],
  serving: readonly Serving<One>[],
  { overprovisioning }: ChoiceRules,
): { readonly shares: readonly number[]; readonly reached: readonly boolean[] } {
  const found = shareOut(
    levels.map(({ closed }) => closed),
    overprovisioning,
  );
  if (found.shares.some((share) => share > 0)) return found;
  // Nobody is available: those that serve all the same do so by their weight.
  const weights = serving.map(({ closed }) => closed.reduce((sum, { member }) => sum + weightOf(member), 0));
  const sum = weights.reduce((a, b) => a + b, 0);
  return { shares: weights.map((weight) => (sum > 0 ? weight / sum : 0)), reached: found.reached };
}

function tiersOf<One extends Member>(
  priority: number,
  share: number,
  members: readonly Seen<One>[],
  zone: string | undefined,
  overprovisioning: number,
): Tier<One>[] {
  const whole = { priority, share, members: members.map(({ member }) => member) };
  if (zone === undefined) return [whole];
  const own = members.filter(({ member }) => member.zone === zone);
  const others = members.filter(({ member }) => member.zone !== zone);
  const capacity = (some: readonly Seen<One>[]) => some.reduce((sum, seen) => sum + presentWeight(seen), 0);
  // Those without a zone are taken for one.
  const zones = new Set(members.map(({ member }) => member.zone)).size;
  const stays = localShare(capacity(own), capacity(members), zones, overprovisioning);
  const kept = capacity(others) === 0 ? 1 : stays;
  const tier = (where: 'own' | 'others', part: number, some: readonly Seen<One>[]): Tier<One>[] =>
    part > 0 ? [{ priority, zone: where, share: share * part, members: some.map(({ member }) => member) }] : [];
  return own.length === 0 ? [whole] : [...tier('own', kept, own), ...tier('others', 1 - kept, others)];
}
