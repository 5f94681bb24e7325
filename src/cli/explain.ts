/**
 * `aya explain GET /orders/7`: which route would take the request and why each other one would not, what would be sent,
 * and which endpoints could serve it. It asks the functions that the data plane asks; what is live comes from the admin
 * server, when a gateway runs.
 */
import type { Config, FallbackConfig, RouteConfig } from '../config/schema.ts';
import { matchedPrefix } from '../data/match/path-pattern.ts';
import { compileRewrite } from '../data/rewrite.ts';
import { describeSource } from '../discovery/source.ts';
import { GatewayError } from '../errors.ts';
import { describeBalance } from '../upstream/balance.ts';
import { describeSticky } from '../upstream/sticky/describe.ts';
import { adminOf, type AdminOptions } from './admin-client.ts';
import { candidatesOf, crowdOf, type LivePool } from './candidates.ts';
import { loadConfig } from './configuration.ts';
import { matchData, describeAction, destinationsOf, type Destination, type RouteMatch } from './describe.ts';
import { renderExplanation } from './explain-text.ts';
import { EXIT, json, type Outcome } from './outcome.ts';
import { readQuestion, type Question, type Told } from './question.ts';
import { matcherOf } from './routes.ts';

export interface ExplainOptions extends Told, AdminOptions {
  readonly dir: string;
  /** In text, also the routes for other hosts and paths. */
  readonly all?: boolean;
  readonly json?: boolean;
}

/** Everything there is to say; `--json` prints it as it is. */
export interface Explanation {
  readonly request: { readonly method: string; readonly host: string; readonly path: string; readonly client: string };
  /** Why the gateway refuses it; absent when it does not. */
  readonly refused?: string;
  /** In the order of precedence. */
  readonly matches: readonly ExplainedMatch[];
  /** The match that takes it. */
  readonly chosen?: ExplainedMatch;
  /** `goes to orders`, or what the route answers itself. */
  readonly action?: string;
  readonly destinations: readonly ExplainedDestination[];
  /** Where the states of endpoints come from, or why there are none; absent when no pool is asked. */
  readonly live?: { readonly gateway: string } | { readonly unknown: string };
  /** What differs between these files and the running gateway. */
  readonly note?: string;
}

export interface ExplainedMatch extends ReturnType<typeof matchData> {
  readonly verdict: 'chosen' | 'outranked' | 'refused';
  readonly part: 'scheme' | 'host' | 'path' | 'method' | 'condition' | null;
  readonly reason: string;
}

export interface ExplainedDestination extends Pick<Destination, 'pool' | 'weight'> {
  /** What the upstream is asked, `GET /v1/7`, or why nothing is. */
  readonly sends: string;
  readonly balance: string;
  /** What serves when it cannot: `pool standby`, `an answer with 200`. */
  /** `cookie:aya-orders`: requests with a session go where that is. */
  readonly sticky?: string;
  readonly fallback?: string;
  /** Where further endpoints are found, which only a running gateway knows. */
  readonly discovery?: string;
  /** Why it would have to wait; absent when it would not, as far as is known. */
  readonly crowd?: string;
  readonly endpoints: ReturnType<typeof candidatesOf>;
}

export async function explain(method: string, url: string, options: ExplainOptions): Promise<Outcome> {
  const config = await loadConfig(options.dir);
  const explanation = await answer(method.toUpperCase(), url, config, options);
  const out = options.json === true ? json(explanation) : renderExplanation(explanation, options.all === true);
  return { out, exitCode: EXIT.done };
}

async function answer(method: string, url: string, config: Config, options: ExplainOptions): Promise<Explanation> {
  let question: Question;
  try {
    question = readQuestion(method, url, options);
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    const request = { method, host: '', path: url, client: options.client };
    return { request, refused: refusalOf(error), matches: [], destinations: [] };
  }

  const { view, target } = question;
  const request = { method, host: view.host, path: target.path, client: view.clientAddress };
  const explained = matcherOf(config).explain(view);
  const matches = explained.map(({ match, verdict, part, reason }) => ({
    ...matchData(match),
    verdict,
    part: part ?? null,
    reason,
  }));
  const at = explained.findIndex(({ verdict }) => verdict === 'chosen');
  const winner = explained[at]?.match;
  if (winner === undefined) return { request, matches, destinations: [] };

  const chosen = matches[at]!;
  const refused = refusedBy(winner.rule, question);
  if (refused !== undefined) return { request, refused, matches, chosen, destinations: [] };
  const destinations = destinationsOf(winner.rule);
  const state: GatewayState = destinations.length === 0 ? {} : await askGateway(config, options);
  return {
    request,
    matches,
    chosen,
    action: `${destinations.length === 0 ? 'answers with' : 'goes to'} ${describeAction(winner.rule)}`,
    destinations: destinations.map((destination) =>
      explainDestination(destination, winner, question, config, state.pools),
    ),
    ...(state.live === undefined ? {} : { live: state.live }),
    ...(state.note === undefined ? {} : { note: state.note }),
  };
}

const refusalOf = ({ status, detail, message }: GatewayError) => `${status}: ${detail ?? message}`;

function refusedBy({ limits }: RouteConfig, { target }: Question): string | undefined {
  if (!target.encodedSlash || limits.encodedSlashes === 'allow') return undefined;
  return '400: the path holds an encoded slash or backslash (limits.encodedSlashes).';
}

function explainDestination(
  { pool, weight, rewrite }: Destination,
  match: RouteMatch,
  question: Question,
  config: Config,
  live: readonly LivePool[] | undefined,
): ExplainedDestination {
  // The loader has checked that it exists.
  const poolConfig = config.pools.find(({ name }) => name === pool)!;
  const { balance, sticky, discover, fallback } = poolConfig;
  const livePool = live && (live.find(({ name }) => name === pool) ?? { name: pool, endpoints: [] });
  const crowd = crowdOf(livePool);
  return {
    pool,
    ...(weight === undefined ? {} : { weight }),
    sends: sent(rewrite, match, question),
    balance: describeBalance(balance),
    ...(sticky && { sticky: describeSticky(sticky) }),
    ...(fallback && match.rule.fallback !== false && { fallback: describeFallback(fallback) }),
    ...(discover && { discovery: describeSource(discover) }),
    ...(crowd !== undefined && { crowd }),
    endpoints: candidatesOf(poolConfig, livePool, config.gateway.zone),
  };
}

const describeFallback = ({ pool, answer }: FallbackConfig) =>
  pool === undefined ? `an answer with ${answer!.status}` : `pool ${pool}`;

/** The request line, and the host when it becomes another. */
function sent(rewrite: Destination['rewrite'], match: RouteMatch, { method, authority, target }: Question): string {
  const { path, search } = target;
  const request = { target: search === '' ? path : `${path}?${search}`, fields: ['host', authority] };
  if (rewrite !== undefined) {
    const unsafe = compileRewrite(rewrite)({ path, matchedPrefix: matchedPrefix(match.path, path) }, request);
    if (unsafe !== undefined) return `nothing: ${refusalOf(unsafe)}`;
  }
  const host = request.fields[1]!;
  return `${method} ${request.target}${host === authority ? '' : ` with host ${host}`}`;
}

interface GatewayState {
  readonly live?: Explanation['live'];
  readonly pools?: readonly LivePool[];
  readonly note?: string;
}

/** That no gateway runs is part of the answer, not a failure. */
async function askGateway(config: Config, options: AdminOptions): Promise<GatewayState> {
  try {
    const admin = adminOf(options, config);
    const [{ pools }, { revision }] = await Promise.all([
      admin.get<{ pools: readonly LivePool[] }>('/pools'),
      admin.get<{ revision: string }>('/status'),
    ]);
    const live = { gateway: admin.url };
    if (revision === config.revision) return { live, pools };
    return { live, pools, note: `it serves another configuration than these files; 'aya plan' says how they differ` };
  } catch (error) {
    return { live: { unknown: error instanceof Error ? error.message : String(error) } };
  }
}
