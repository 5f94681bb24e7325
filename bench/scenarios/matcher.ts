/** The matcher alone, in this process: nanoseconds to find the route of a request, and what it takes to build. */
import { compileMatcher, type Matcher } from '../../src/data/match/matcher.ts';
import { RequestView } from '../../src/data/match/request-view.ts';
import { fixed, thousands, type Scenario } from './scenario.ts';

const SIZES = [10, 1_000, 10_000];
const MATCHES = 200_000;
const PATHS = 997;

export const matcher: Scenario = {
  name: 'matcher',
  title: 'Matching alone, without a request',
  async run({ rounds }) {
    const found = SIZES.map((routes) => {
      const begun = performance.now();
      const built = build(routes);
      const buildMs = performance.now() - begun;
      const paths = Array.from({ length: PATHS }, (_, index) => `/service-${(index * 7919) % routes}/orders/${index}`);
      time(built, paths); // compiled by V8 before it counts
      return { routes, buildMs, ns: Math.min(...Array.from({ length: rounds }, () => time(built, paths))) };
    });
    return {
      columns: ['routes', 'ns/match, best', 'ms to build'],
      rows: found.map(({ routes, ns, buildMs }) => [thousands(routes), fixed(ns, 0), fixed(buildMs)]),
      budgets: [],
      figures: found,
    };
  },
};

function build(routes: number): Matcher<number> {
  const entry = (rule: number) => ({ rule, match: [{ path: `/service-${rule}/*` }] });
  return compileMatcher(Array.from({ length: routes }, (_, rule) => entry(rule)));
}

function time(built: Matcher<number>, paths: readonly string[]): number {
  let matched = 0;
  const begun = process.hrtime.bigint();
  for (let count = 0; count < MATCHES; count++) {
    const path = paths[count % PATHS] ?? '';
    const request = new RequestView('GET', 'api.example.com', path, '', [], '127.0.0.1', 'http');
    if (built.match(request) !== undefined) matched++;
  }
  const ns = Number(process.hrtime.bigint() - begun) / MATCHES;
  if (matched !== MATCHES) throw new Error(`${MATCHES - matched} requests found no route`);
  return ns;
}
