/** As much of Prometheus's language as it takes to see that an expression asks for what a metrics page has. */

interface Series {
  readonly name: string;
  readonly labels: ReadonlyMap<string, string>;
}

const SELECTOR = /(?<![:\w])((?:aya|process)_\w+)(?:\{([^}]*)\})?/g;
const MATCHER = /(\w+)(=~|!=|=)"((?:[^"\\]|\\.)*)"/g;
const GROUPING = /\b(?:by|on) \(([^)]*)\)/g;
/** Prometheus adds them to all that it scrapes. */
const ADDED = new Set(['instance', 'job']);

/**
 * What the page has nothing for: selectors without a series that fits, and labels to group by that the series do not have.
 * Variables of Grafana (`$pool`) fit everything.
 */
export function unanswered(expr: string, page: string): string[] {
  const all = seriesOf(page);
  const selected = [...expr.matchAll(SELECTOR)].map(([selector, name, matchers = '']) => ({
    selector,
    found: all.filter((series) => series.name === name && fits(series, matchers)),
  }));
  const empty = selected.filter(({ found }) => found.length === 0).map(({ selector }) => selector);
  const grouped = [...expr.matchAll(GROUPING)].flatMap(([, labels]) => labels!.split(', '));
  const lacking = grouped.filter((label) => {
    return !ADDED.has(label) && selected.some(({ found }) => found.some(({ labels }) => !labels.has(label)));
  });
  return [...empty, ...lacking.map((label) => `${label} in ${expr}`)];
}

/** Of all series that the expression selects. */
export function labelsOf(expr: string, page: string): string[] {
  const names = new Set([...expr.matchAll(SELECTOR)].map(([, name]) => name));
  return seriesOf(page).flatMap(({ name, labels }) => (names.has(name) ? [...labels.keys()] : []));
}

function seriesOf(page: string): Series[] {
  return [...page.matchAll(/^([a-z]\w*)(?:\{(.*)\})? \S+$/gm)].map(([, name, labels = '']) => ({
    name: name!,
    labels: new Map([...labels.matchAll(MATCHER)].map(([, label, , value]) => [label!, value!])),
  }));
}

function fits({ labels }: Series, matchers: string): boolean {
  return [...matchers.matchAll(MATCHER)].every(([, label, operator, wanted]) => {
    if (ADDED.has(label!) || wanted!.startsWith('$')) return ADDED.has(label!) || labels.has(label!);
    const value = labels.get(label!);
    if (value === undefined) return false;
    if (operator === '!=') return true; // of what is not there yet nothing is known
    return operator === '=' ? value === wanted : new RegExp(`^(?:${wanted})$`).test(value);
  });
}
