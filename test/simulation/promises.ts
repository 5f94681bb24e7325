/** What must hold in every run, whatever its seed, and the command that plays again the one in which it did not. */
import { nameOf } from './summary.ts';
import type { Run } from './simulate.ts';

/** An endpoint that is like the others gets at least this part of a fair share. */
const LEAST_SHARE = 0.5;
/** With fewer requests for each endpoint, what chance has made of the first few answers may still count. */
const ENOUGH = 300;

/** Sentences; empty when all is well. */
export function brokenPromises(run: Run): string[] {
  return [
    ...nothingIsLost(run),
    ...nothingIsLeft(run),
    ...budgetIsKept(run),
    ...nobodyStarves(run),
    ...allAreServed(run),
  ];
}

/** The command line that plays the same run. */
export function replayOf({ setting }: Run): string {
  const { scenario, balance, seed, seconds, threads, pool, route } = setting;
  const further = Object.entries({ seconds, threads, pool, route }).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name} '${JSON.stringify(value)}'`],
  );
  const told = nameOf(balance).replace(' ', ':');
  return ['npm run simulate --', `--scenario ${scenario.name} --balance ${told} --seed ${seed}`, ...further].join(' ');
}

function nothingIsLost({ asked, ended }: Run): string[] {
  return ended.length === asked ? [] : [`${asked} requests were sent, and ${ended.length} ended`];
}

function nothingIsLeft({ left }: Run): string[] {
  const what = { open: 'exchanges', inFlight: 'requests in the shared table', held: 'calls', timers: 'timers' };
  return Object.entries(left).flatMap(([key, count]) =>
    count === 0 ? [] : [`${count} ${what[key as keyof typeof what]} are left when all is over`],
  );
}

/** Over all of a run no more than the budget on top; its minimum, for each ten seconds, comes beside it. */
function budgetIsKept({ setting, asked, received, lengthMs }: Run): string[] {
  const { scenario, route, threads = 2 } = setting;
  const { retry } = { ...scenario.route, ...route } as { retry?: { budget?: string } };
  const share = retry?.budget === undefined ? 0.2 : Number.parseFloat(retry.budget) / 100;
  const minimum = 3 * threads * (1 + Math.ceil(lengthMs / 10_000));
  const all = received.reduce((sum, count) => sum + count, 0);
  const most = asked * (1 + share) + minimum;
  return all <= most ? [] : [`${asked} requests became ${all} at the endpoints, ${Math.floor(most)} may be`];
}

function nobodyStarves({ setting: { scenario, balance, pool, route }, received }: Run): string[] {
  // With other settings, such as a timeout that many answers meet, chance may well have one ejected.
  if (scenario.name !== 'identical' || pool !== undefined || route !== undefined) return [];
  const fair = received.reduce((sum, count) => sum + count, 0) / received.length;
  const least = Math.min(...received);
  if (fair < ENOUGH || least >= LEAST_SHARE * fair) return [];
  return [
    `${nameOf(balance)} gives one of ${received.length} equal endpoints ${least} requests where ${fair} are fair`,
  ];
}

function allAreServed({ setting: { scenario, pool, route }, ended }: Run): string[] {
  // With other settings, such as a breaker of the whole pool, it may well be right to refuse.
  if (scenario.servesAll !== true || pool !== undefined || route !== undefined) return [];
  const bad = ended.filter(({ fate }) => fate !== 'good');
  return bad.length === 0 ? [] : [`${bad.length} requests were not served that could be, the first: ${bad[0]!.error}`];
}
