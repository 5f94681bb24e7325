/** An explanation for a person: the answer first, then what else could have been, then who would serve. */
import type { Candidate } from './candidates.ts';
import type { Explanation, ExplainedDestination, ExplainedMatch } from './explain.ts';
import { counted } from './outcome.ts';
import { bold, columns, dim, green, red, yellow } from './style.ts';

/** Without a winner, routes of the same host are the ones that were probably meant. */
const MOST_GUESSES = 10;

/** @param all also the routes for other hosts and paths. */
export function renderExplanation(explanation: Explanation, all: boolean): string {
  const { request, refused, chosen } = explanation;
  const asked = `${request.method} ${request.host}${request.path}`;
  if (refused !== undefined && chosen === undefined) {
    return `${bold(asked)}\n${red('refused')} before any route is looked for, with ${refused}`;
  }
  return [
    `${bold(asked)} from ${request.client}`,
    chosen === undefined ? `${red('no route')} matches: it is answered with 404` : winner(chosen, explanation),
    ...others(explanation, all),
    ...(explanation.action === undefined ? [] : serving(explanation)),
  ].join('\n');
}

function winner({ route, host, path, source, reason }: ExplainedMatch, { action, refused }: Explanation): string {
  const pattern = `${host} ${typeof path === 'string' ? path : `~ ${path.regex}`}`;
  const outcome = refused === undefined ? action : `${red('refused')} with ${refused}`;
  return `${green('route')} ${bold(route)} (${pattern}, ${source}): ${reason}\n${outcome}`;
}

// --- the routes that do not take it ----------------------------------------------------------------------------------

function others({ matches, chosen }: Explanation, all: boolean): string[] {
  const losers = matches.filter((match) => match !== chosen);
  if (losers.length === 0) return [];
  const near = losers.filter(({ part }) => part !== 'host' && part !== 'path');
  const far = losers.filter((match) => !near.includes(match));
  const guesses = chosen === undefined && near.length === 0 ? far.filter(({ part }) => part === 'path') : [];
  const shown = all ? [...near, ...far] : [...near, ...guesses.slice(0, MOST_GUESSES)];
  const hidden = losers.length - shown.length;
  const rest = `${counted(hidden, shown.length === 0 ? 'route' : 'other')} for another host or path`;
  return [
    '',
    bold('Not taken by'),
    ...(shown.length === 0 ? [] : [columns(shown.map(loser), '  ')]),
    ...(hidden === 0 ? [] : [dim(`  ${rest}: --all shows ${hidden === 1 ? 'it' : 'them'}`)]),
  ];
}

function loser({ rank, route, verdict, reason, source }: ExplainedMatch): string[] {
  return [String(rank), route, verdict === 'outranked' ? `it would, but ${reason}` : reason, dim(source)];
}

// --- who would serve -------------------------------------------------------------------------------------------------

function serving({ destinations, live, note }: Explanation): string[] {
  const lines = destinations.flatMap((destination) => [
    '',
    ...pool(destination, live !== undefined && 'gateway' in live),
  ]);
  if (live === undefined) return lines;
  const told = 'gateway' in live ? `state as the gateway at ${live.gateway} sees it` : `state unknown: ${live.unknown}`;
  return [...lines, '', dim(told), ...(note === undefined ? [] : [yellow(note)])];
}

function pool(destination: ExplainedDestination, isLive: boolean): string[] {
  const { pool: name, weight, sends, balance, sticky, fallback, discovery, crowd, endpoints } = destination;
  const share = weight === undefined ? '' : `, weight ${weight} of the split`;
  const isKnown = discovery === undefined || isLive;
  const none = endpoints.some(({ considered }) => considered)
    ? []
    : [
        isKnown
          ? red(`  no endpoint is left: ${crowd === undefined ? '503' : 'it waits'}`)
          : dim(`  found by ${discovery}, as a running gateway could tell`),
      ];
  return [
    `${bold(`Pool ${name}`)} (${balance}${share}) is asked ${sends}`,
    ...(crowd === undefined ? [] : [yellow(`  it would wait: ${crowd}`)]),
    ...(sticky === undefined
      ? []
      : [dim(`  a request with a session (${sticky}) goes where that is, while it takes traffic`)]),
    ...(endpoints.length === 0 ? [] : [columns(endpoints.map(candidate), '  ')]),
    ...none,
    ...(fallback === undefined ? [] : [dim(`  when it cannot serve: ${fallback}`)]),
  ];
}

function candidate(one: Candidate): string[] {
  const { url, weight, zone, discoveredBy, considered, reason, inFlight, averageMs } = one;
  const state = inFlight === undefined ? '' : `${inFlight} in flight, ${averageMs} ms on average`;
  return [
    considered ? green('considered') : yellow('skipped'),
    url,
    `weight ${weight}`,
    state,
    [zone === undefined ? '' : `zone ${zone}`, foundBy(discoveredBy), reason].filter((part) => part !== '').join('; '),
  ];
}

const foundBy = (source: string | undefined) => (source === undefined ? '' : `found by ${source}`);
