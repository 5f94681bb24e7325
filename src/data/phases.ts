/**
 * The path of a request, and the only place where order is written. Hooks decide about a request, once, on the client's
 * side. Layers carry the message, zero to many times, on the upstream's side. ARCHITECTURE.md tells the same as a story.
 */

interface PhaseEntry {
  readonly phase: string;
  readonly side: 'hook' | 'layer' | 'both';
  /** Plugins in this position, in their order. Names that are not installed are skipped. */
  readonly plugins: readonly string[];
  readonly why: string;
}

export const PHASES = [
  { phase: 'observe', side: 'hook', plugins: [], why: 'first: refusals are seen too' },
  {
    phase: 'guard',
    side: 'hook',
    plugins: ['ipFilter', 'cors'],
    why: 'the cheapest refusals; preflights carry no credentials',
  },
  { phase: 'authenticate', side: 'hook', plugins: ['auth'], why: 'yields the principal' },
  { phase: 'authorize', side: 'hook', plugins: ['csrf', 'authorize'], why: 'needs the principal' },
  {
    phase: 'limit',
    side: 'hook',
    plugins: ['deadline', 'rateLimit'],
    why: 'charged to a principal; refused calls, and those that come too late, cost nothing',
  },
  { phase: 'validate', side: 'hook', plugins: ['validate'], why: 'reads the body: the dearest refusal is the last' },
  {
    phase: 'transform',
    side: 'both',
    plugins: ['redirect', 'rewrite', 'headers', 'securityHeaders', 'clientCache', 'compress'],
    why: 'last before it leaves, so that all before it saw what the client sent; on the way back outside the cache',
  },
  {
    phase: 'split',
    side: 'layer',
    plugins: ['split'],
    why: 'chooses the pool; above the cache so that versions never share an answer',
  },
  {
    phase: 'cache',
    side: 'layer',
    plugins: ['cache'],
    why: 'a hit touches no endpoint, yet was authorised and counted',
  },
  { phase: 'mirror', side: 'layer', plugins: [], why: 'one copy per request, not per attempt' },
  { phase: 'retry', side: 'layer', plugins: ['retry', 'hedge'], why: 'each attempt passes pick again' },
  { phase: 'attempt', side: 'layer', plugins: [], why: 'needs the endpoint' },
] as const satisfies readonly PhaseEntry[];

export type Phase = (typeof PHASES)[number]['phase'];

/** All plugins in the order of the path. */
export const PLUGIN_ORDER: readonly string[] = PHASES.flatMap((entry): readonly string[] => entry.plugins);
