/**
 * A decision record as operators have it: words beside which stands what the control plane knows of an endpoint, which check
 * failed, until when it is ejected, when its breaker is probed. Put together when the record comes, so that what happens to an
 * endpoint later changes nothing in it.
 */
import { timeText } from '../data/decisions/batch.ts';
import type {
  ToldAttempt,
  ToldDecision,
  ToldPassedOver,
  ToldSession,
  ToldStanding,
  Why,
  WhyQuestion,
} from '../data/decisions/told.ts';
import { AGAINST, BREAKER_WORDS, isBreakerWord, reasonsOf, reasonText } from '../upstream/reasons.ts';
import type { EndpointRegistry, RegisteredEndpoint } from './endpoint-registry.ts';
import type { Health } from './health/health.ts';
import type { StatusChange } from './view.ts';

/** As the admin server shows it and the log has it. */
export interface DecisionView extends ToldDecision {
  readonly time: string;
  readonly thread: number;
}

export interface DecisionWords {
  readonly registry: EndpointRegistry;
  readonly health: Pick<Health, 'passive'>;
}

/** A thread tells of a pick a moment after the change that it saw. */
const SLACK_MS = 50;

/** With what was asked. */
export function answered(decision: ToldDecision<Why>, words: DecisionWords): ToldDecision {
  const answer = (why: Why) => (typeof why === 'string' ? why : whyOf(why, words));
  const { attempts, atEnd } = decision;
  return {
    ...decision,
    attempts: attempts.map((attempt) => answeredAttempt(attempt, answer)),
    atEnd: atEnd && { ...atEnd, ...answeredStanding(atEnd, answer) },
  };
}

type Answer = (why: Why) => string;

function answeredAttempt(attempt: ToldAttempt<Why>, answer: Answer): ToldAttempt {
  const { session, considered, passedOver } = attempt;
  const told = { ...attempt, session: session && answeredSession(session, answer) };
  if (considered === undefined || passedOver === undefined)
    return { ...told, considered: undefined, passedOver: undefined };
  return { ...told, ...answeredStanding({ considered, passedOver }, answer) };
}

function answeredSession(session: ToldSession<Why>, answer: Answer): ToldSession {
  return { ...session, why: session.why && answer(session.why) };
}

function answeredStanding(
  { considered, passedOver }: Pick<ToldStanding<Why>, 'considered' | 'passedOver'>,
  answer: Answer,
): Pick<ToldStanding, 'considered' | 'passedOver'> {
  return {
    considered: considered.map((one) => ({ ...one, although: one.although && answer(one.although) })),
    passedOver: passedOver.map((one): ToldPassedOver => ({ ...one, why: answer(one.why) })),
  };
}

// --- reasons, with what is known beside them ---

function whyOf({ row, against, probeInMs, at }: WhyQuestion, { registry, health }: DecisionWords): string {
  const endpoint = registry.at(row);
  const told = reasonsOf(against).map(([bit, word]) => {
    const change = endpoint && changeBehind(endpoint.history, bit, at);
    if (change === undefined && bit !== AGAINST.breakerOpen) return reasonText(word);
    const because = change === undefined ? '' : `: ${change.reason.replace(`${word}: `, '')}`;
    return `${word}${whenOf(bit, probeInMs, at, change, endpoint, health)}${because}`;
  });
  return told.join('; ');
}

/** The moment that matters: when it may be over, where that is known, or else since when it is so. */
function whenOf(
  bit: number,
  probeInMs: number | undefined,
  at: number,
  change: StatusChange | undefined,
  endpoint: RegisteredEndpoint | undefined,
  { passive }: DecisionWords['health'],
): string {
  if (bit === AGAINST.breakerOpen && probeInMs !== undefined) return `, probe at ${timeText(at + probeInMs)}`;
  const until = bit === AGAINST.ejected && endpoint !== undefined ? passive.ejectedUntil(endpoint) : undefined;
  if (until !== undefined) return ` until ${timeText(until)}`;
  return change === undefined ? '' : ` since ${timeText(change.since)}`;
}

/** The change that brought the reason, the latest before that moment; undefined: it is forgotten, or has none. */
function changeBehind(history: readonly StatusChange[], bit: number, at: number): StatusChange | undefined {
  const breaker = BREAKER_WORDS.get(bit);
  return history.findLast((change, index) => {
    if (change.since > at + SLACK_MS) return false;
    if (breaker !== undefined) return change.reason.startsWith(`${breaker}: `);
    const before = index === 0 ? 0 : history[index - 1]!.status;
    return (change.status & bit) !== 0 && (before & bit) === 0 && !isBreakerWord(change.reason);
  });
}
