/**
 * Why an endpoint is passed over: each reason there is, once, with its word. /pools, `aya explain`, decision records and
 * metrics all say these words. In a record the reasons are bits, so that a data thread tells them in one number; the words,
 * and what is known beside them, are put to it where somebody reads.
 *
 * A new reason: its bit here, set in `reasonsAgainst`; its word below; its text, where the word says too little.
 * A new status of the endpoint table is a reason by itself.
 */
import { BREAKER, type BreakerState } from '../memory/breaker-table.ts';
import { ENDPOINT } from '../memory/endpoint-table.ts';

/** All but what only says how one of them is meant. */
const { keepsSessions: _, ...STATUS_REASONS } = ENDPOINT;

/** Statuses have the lowest eight bits. */
export const AGAINST = {
  ...STATUS_REASONS,
  breakerOpen: 1 << 8,
  breakerHalfOpen: 1 << 9,
  backup: 1 << 10,
  weightZero: 1 << 11,
  triedAlready: 1 << 12,
  atLimit: 1 << 13,
  agentsWeightZero: 1 << 14,
  otherZone: 1 << 15,
  lowerPriority: 1 << 16,
  slowStart: 1 << 17,
} as const;

export type EndpointStatus = keyof typeof STATUS_REASONS;

const STATUSES = Object.entries(STATUS_REASONS) as [EndpointStatus, number][];
const STATUS_BITS = STATUSES.reduce((bits, [, bit]) => bits | bit, 0);

/** As in `/pools`. */
export const BREAKER_NAMES: Readonly<Record<BreakerState, 'closed' | 'open' | 'half-open'>> = {
  [BREAKER.closed]: 'closed',
  [BREAKER.open]: 'open',
  [BREAKER.halfOpen]: 'half-open',
};

/** As the history of an endpoint begins to tell of them: `breaker open: 12 of 20 …`. */
export const BREAKER_WORDS: ReadonlyMap<number, string> = new Map([
  [AGAINST.breakerOpen, breakerWord('open')],
  [AGAINST.breakerHalfOpen, breakerWord('half-open')],
]);

/** The first that holds is told first. */
const WORDS: readonly (readonly [bit: number, word: string])[] = [
  ...STATUSES.map(([name, bit]) => [bit, name] as const),
  ...BREAKER_WORDS,
  [AGAINST.triedAlready, 'tried already'],
  [AGAINST.atLimit, 'at limit'],
  [AGAINST.agentsWeightZero, 'weight 0 by its agent'],
  [AGAINST.weightZero, 'weight 0'],
  [AGAINST.backup, 'backup'],
  [AGAINST.otherZone, 'other zone'],
  [AGAINST.lowerPriority, 'lower priority'],
  [AGAINST.slowStart, 'slow start'],
];

/** What a person reads, where the word alone says too little and nothing else is known beside it. */
const TEXTS: Readonly<Record<string, string>> = {
  'tried already': 'tried already, by an attempt before this one',
  'at limit': 'at limit: it has as many requests as it may',
  'weight 0': 'weight 0 takes no traffic',
  backup: 'backup: others are available',
  'other zone': 'other zone: the own zone takes all',
  'lower priority': 'lower priority: those before it take all',
  'slow start': 'slow start: only a part of its weight counts',
};

export function breakerWord(state: string): string {
  return `breaker ${state}`;
}

export const isBreakerWord = (word: string) => word.startsWith(breakerWord(''));

/** Those that its status holds. */
export function statusWords(status: number): EndpointStatus[] {
  return STATUSES.filter(([, bit]) => (status & bit) !== 0).map(([name]) => name);
}

/** @param against bits of AGAINST. */
export function reasonsOf(against: number): (readonly [bit: number, word: string])[] {
  return WORDS.filter(([bit]) => (against & bit) !== 0);
}

/** The word, or a sentence that begins with it. */
export const reasonText = (word: string) => TEXTS[word] ?? word;

/** What may be known of an endpoint when it is or is not picked. */
export interface Standing {
  readonly status: number;
  readonly breaker: BreakerState;
  readonly weight: number;
  /** Without what its agent says. */
  readonly writtenWeight: number;
  readonly backup: boolean;
  readonly isFull: boolean;
  /** Another of its priority may be picked. */
  readonly levelServes: boolean;
  readonly isWarming: boolean;
  readonly isCandidate: boolean;
  readonly isTried: boolean;
}

/** @returns bits of AGAINST; 0: nothing speaks against it. */
export function reasonsAgainst(standing: Standing): number {
  const { status, breaker, isWarming, isCandidate } = standing;
  const own = ownReasons(standing);
  // In panic its status does not keep it from being picked; what does is all there is to say.
  if (isCandidate && own !== 0) return own;
  const broken =
    breaker === BREAKER.open ? AGAINST.breakerOpen : breaker === BREAKER.halfOpen ? AGAINST.breakerHalfOpen : 0;
  const against = (status & STATUS_BITS) | broken | own;
  if (isCandidate) return isWarming ? against | AGAINST.slowStart : against;
  return against === 0 ? placeAgainst(standing) : against;
}

/** A place rather than a fault: it is passed over for that only while others serve. */
function placeAgainst({ backup, levelServes }: Standing): number {
  if (backup) return AGAINST.backup;
  return levelServes ? AGAINST.otherZone : AGAINST.lowerPriority;
}

/** When it came to them, and why, is in the history of an endpoint; all others say everything with their text. */
export const NEEDS_HISTORY = STATUS_BITS | AGAINST.breakerOpen | AGAINST.breakerHalfOpen;

/** Whether a candidate is passed over for one of them. */
export const isBarred = (against: number) => (against & OWN) !== 0;

const OWN = AGAINST.triedAlready | AGAINST.atLimit | AGAINST.weightZero | AGAINST.agentsWeightZero;

/** Bits of OWN. */
function ownReasons({ weight, writtenWeight, isFull, isTried }: Standing): number {
  let own = 0;
  if (isTried) own |= AGAINST.triedAlready;
  if (isFull) own |= AGAINST.atLimit;
  if (weight === 0) own |= writtenWeight === 0 ? AGAINST.weightZero : AGAINST.agentsWeightZero;
  return own;
}
