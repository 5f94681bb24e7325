/** `aya decisions` and `aya explain --request ID`: how requests were decided, as the running gateway has kept it. */
import type { DecisionView } from '../control/decision-view.ts';
import type { DecisionCounts } from '../control/decisions.ts';
import { adminOf, type AdminOptions } from './admin-client.ts';
import { loadConfig } from './configuration.ts';
import { renderDecision, renderDecisions } from './decisions-text.ts';
import { EXIT, json, type Outcome } from './outcome.ts';

export interface DecisionsOptions extends AdminOptions {
  readonly dir: string;
  readonly route?: string;
  readonly pool?: string;
  readonly status?: string;
  readonly limit?: string;
  readonly json?: boolean;
}

export interface DecisionsAnswer extends DecisionCounts {
  readonly decisions: readonly DecisionView[];
}

/** The newest first. */
export async function decisions({ dir, route, pool, status, limit, ...options }: DecisionsOptions): Promise<Outcome> {
  const admin = adminOf(options, await loadConfig(dir));
  const filters = Object.entries({ route, pool, status, limit });
  const wanted = filters.flatMap(([name, value]): [string, string][] => (value === undefined ? [] : [[name, value]]));
  const answer = await admin.get<DecisionsAnswer>(`/decisions?${new URLSearchParams(wanted).toString()}`);
  return { out: options.json === true ? json(answer) : renderDecisions(answer), exitCode: EXIT.done };
}

/** One of them, whole. */
export async function explainRequest(
  id: string,
  { dir, ...options }: Omit<DecisionsOptions, 'route' | 'pool' | 'status' | 'limit'>,
): Promise<Outcome> {
  const admin = adminOf(options, await loadConfig(dir));
  const decision = await admin.get<DecisionView>(`/decisions/${encodeURIComponent(id)}`);
  return { out: options.json === true ? json(decision) : renderDecision(decision), exitCode: EXIT.done };
}
