/** Decision records for a person: what became of the request, then each attempt with those it chose from. */
import type { DecisionView } from '../control/decision-view.ts';
import type { ToldAttempt, ToldSession, ToldStanding } from '../data/decisions/told.ts';
import type { DecisionsAnswer } from './decisions.ts';
import { counted } from './outcome.ts';
import { bold, columns, dim, green, red, yellow } from './style.ts';

/** One line each. */
export function renderDecisions({ decisions, dropped }: DecisionsAnswer): string {
  if (decisions.length === 0) return 'no decisions are kept: no request has failed, or asked to be explained';
  const lost = dropped === 0 ? [] : ['', dim(`${counted(dropped, 'record')} found no room, in a storm of failures`)];
  return [columns(decisions.map(row)), '', dim('aya explain --request ID tells all of one'), ...lost].join('\n');
}

function row({ time, status, method, host, path, route, attempts, error, requestId }: DecisionView): string[] {
  const tries = attempts
    .map(({ outcome, session }) => `${outcome}${hasMoved(session) ? ' (its session moved)' : ''}`)
    .join(', ');
  return [
    dim(time),
    coloured(status),
    `${method} ${host}${path}`,
    route,
    tries === '' ? (error ?? '') : tries,
    requestId,
  ];
}

const hasMoved = (session: ToldSession | undefined) => session !== undefined && MOVED.has(session.became);
const MOVED: ReadonlySet<ToldSession['became']> = new Set(['unavailable', 'tried', 'gone']);

const coloured = (status: number) => (status >= 500 ? red : green)(String(status));

// --- one of them, whole ----------------------------------------------------------------------------------------------

const POOL_BY = { route: "the route's own", split: 'chosen by the split', fallback: "in place of the route's own" };
const BECAUSE = { asked: 'it asked', sampled: 'it was drawn', failed: 'it failed' };

export function renderDecision(decision: DecisionView): string {
  const { method, host, path, status, durationMs, time, requestId, recorded, attempts, atEnd } = decision;
  const causes = recorded.map((cause) => BECAUSE[cause]).join(' and ');
  return [
    `${bold(`${method} ${host}${path}`)} ${answered(status)} after ${durationMs} ms`,
    dim(`${time}, thread ${decision.thread}, request ${requestId}; recorded because ${causes}`),
    ...whither(decision),
    ...attempts.flatMap((attempt, at) => ['', ...attemptLines(attempt, at + 1)]),
    ...more(decision.moreAttempts, 'attempts before the last'),
    ...(atEnd === undefined ? [] : ['', bold('The pool when it had failed'), ...standingLines(atEnd)]),
  ].join('\n');
}

const answered = (status: number) => (status === 0 ? red('got no answer') : `was answered ${coloured(status)}`);

function whither({ route, pool, poolBy, fallback, reason, error, cache, clientLeft }: DecisionView): string[] {
  const where =
    pool === undefined || poolBy === undefined ? 'no pool was asked' : `pool ${bold(pool)}, ${POOL_BY[poolBy]}`;
  return [
    `route ${bold(route)}: ${where}${cache === undefined ? '' : `; cache ${cache}`}`,
    ...(fallback === undefined ? [] : [yellow(`in place of pool ${fallback.from}: ${fallback.because}`)]),
    ...(error === undefined ? [] : [`${red(error)}: ${reason ?? ''}`]),
    ...(clientLeft === true ? [yellow('its client left before the end')] : []),
  ];
}

function attemptLines(attempt: ToldAttempt, number: number): string[] {
  const { endpoint, pool, atMs, outcome, ms, considered, passedOver } = attempt;
  const took = ms === undefined ? '' : ` after ${ms} ms`;
  const whom = endpoint ?? `nobody of ${pool}`;
  const head = `${bold(`Attempt ${number}`)} at ${atMs} ms, ${whom}: ${outcome}${took}${next(attempt)}`;
  const session = attempt.session === undefined ? [] : [`  session by ${attempt.session.by}: ${held(attempt.session)}`];
  return considered === undefined || passedOver === undefined
    ? [head, ...session]
    : [head, ...session, ...standingLines({ ...attempt, considered, passedOver })];
}

/** Why a request went, or did not go, to where it was before. */
function held({ became, endpoint, why }: ToldSession): string {
  if (became !== 'unavailable' && became !== 'tried') return HELD[became];
  const because = why ?? (became === 'tried' ? 'tried already' : 'it takes no traffic');
  return yellow(`moves from ${endpoint} with the answer: ${because}`);
}

const HELD: Readonly<Record<Exclude<ToldSession['became'], 'unavailable' | 'tried'>, string>> = {
  stuck: 'it is there',
  new: 'it brought none, and begins one',
  unknown: 'nobody knows the one that it brought (any more)',
  malformed: 'what it brought is none',
  forged: 'the one that it brought was signed by nobody that is believed',
  expired: 'the one that it brought is over',
  gone: yellow('moves with the answer: its endpoint has left the pool'),
};

function next({ retriedAfterMs, hedgedAfterMs, notRetried }: ToldAttempt): string {
  if (hedgedAfterMs !== undefined) return `; another was asked beside it after ${hedgedAfterMs} ms`;
  if (retriedAfterMs !== undefined) return `; tried again after ${retriedAfterMs} ms`;
  return notRetried === undefined ? '' : `; not tried again: ${NOT_RETRIED[notRetried] ?? notRetried}`;
}

/** The words of the retry layer. */
const NOT_RETRIED: Readonly<Record<string, string>> = {
  attempts: 'no attempts are left',
  body: 'its body cannot be sent again',
  deadline: 'no time is left',
  budget: 'the budget is spent',
  crowded: 'as many further tries as may be were under way',
  method: 'twice may not be the same as once',
  'retry-after': 'the answer asked for a longer wait',
};

function standingLines({ considered, passedOver, moreConsidered, morePassedOver }: ToldStanding): string[] {
  const rows = [
    ...considered.map(({ endpoint, chosen, score, inFlight, averageMs, weight, although }) => [
      chosen === true ? green('chosen') : 'considered',
      endpoint,
      [
        ...(score === undefined ? [] : [`score ${score}`]),
        `${inFlight} in flight, ${averageMs} ms on average, weight ${weight}`,
        ...(although === undefined ? [] : [`although ${although}`]),
      ].join('; '),
    ]),
    ...passedOver.map(({ endpoint, why }) => [yellow('passed over'), endpoint, why]),
  ];
  const lists = rows.length === 0 ? [] : [columns(rows, '  ')];
  return [...lists, ...more(moreConsidered, 'considered'), ...more(morePassedOver, 'passed over')];
}

function more(count: number | undefined, what: string): string[] {
  return count === undefined ? [] : [dim(`  and ${count} more ${what}`)];
}
