/**
 * Load reports as xDS defines them (ORCA): `endpoint-load-metrics: TEXT cpu_utilization=0.3, rps_fractional=80` or
 * `JSON {"cpu_utilization":0.3}`, and the protobuf form in binary.ts. A report counts whole or not at all: whoever writes one
 * number that cannot be has not measured the others well either. What is unknown in it is passed over.
 */

export interface LoadReport {
  readonly application: number;
  readonly cpu: number;
  /** Requests and errors each second. */
  readonly rate: number;
  readonly errorRate: number;
  /** `named_metrics.*` and `utilization.*` by their whole names. */
  readonly named: ReadonlyMap<string, number>;
}

/** Longer ones are not read. */
export const MAX_REPORT_LENGTH = 4096;
const MAX_NAMED = 64;

/** Beyond this a number is no measurement, and products of a few of them stay finite. */
const MOST = 1e9;

const SCALARS = {
  application_utilization: 'application',
  cpu_utilization: 'cpu',
  rps_fractional: 'rate',
  rps: 'rate',
  eps: 'errorRate',
} as const;
type Scalar = (typeof SCALARS)[keyof typeof SCALARS];

/** Known, and no part of any weight. */
const MAPS = ['named_metrics', 'utilization'] as const;

/** Puts a report together and remembers whether it can still be one. */
export class ReportBuilder {
  readonly #values: Record<Scalar, number> = { application: 0, cpu: 0, rate: 0, errorRate: 0 };
  readonly #named = new Map<string, number>();
  readonly #seen = new Set<string>();
  #isBroken = false;

  /** @param name as in the TEXT form: `cpu_utilization`, `named_metrics.queue`. */
  add(name: string, value: unknown): void {
    const isNumber = typeof value === 'number' && value >= 0 && value <= MOST;
    const isNamed = MAPS.some((map) => name.startsWith(`${map}.`));
    if (!isNamed && !Object.hasOwn(SCALARS, name)) return;
    // Said twice it says nothing.
    if (!isNumber || this.#seen.has(name) || this.#named.size > MAX_NAMED) {
      this.#isBroken = true;
      return;
    }
    this.#seen.add(name);
    if (isNamed) this.#named.set(name, value);
    // `rps_fractional` has taken the place of `rps`.
    else if (name !== 'rps' || !this.#seen.has('rps_fractional'))
      this.#values[SCALARS[name as keyof typeof SCALARS]] = value;
  }

  /** undefined: what was added cannot be a report. */
  build(): LoadReport | undefined {
    return this.#isBroken || this.#seen.size === 0 ? undefined : { ...this.#values, named: this.#named };
  }
}

/** The value of `endpoint-load-metrics`. @returns undefined for one that is no report. */
export function parseReport(value: string): LoadReport | undefined {
  if (value.length > MAX_REPORT_LENGTH) return undefined;
  const text = value.trim();
  if (text.startsWith('JSON ')) return parseJson(text.slice(5));
  return parseText(text.startsWith('TEXT ') ? text.slice(5) : text);
}

function parseText(text: string): LoadReport | undefined {
  const report = new ReportBuilder();
  for (const pair of text.split(',')) {
    const equals = pair.indexOf('=');
    if (equals < 0) return undefined;
    report.add(pair.slice(0, equals).trim(), numberOf(pair.slice(equals + 1).trim()));
  }
  return report.build();
}

/** `Number` takes more for a number than a measurement can be: nothing, `0x10`, `Infinity`. */
const numberOf = (text: string) => (/^\d+(\.\d+)?(e[-+]?\d{1,3})?$/i.test(text) ? Number(text) : NaN);

function parseJson(text: string): LoadReport | undefined {
  const parsed = asObject(text);
  if (parsed === undefined) return undefined;
  const report = new ReportBuilder();
  for (const [key, value] of Object.entries(parsed)) {
    const name = snakeCase(key);
    if (!MAPS.some((map) => map === name)) report.add(name, value);
    else if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    else for (const [inner, number] of Object.entries(value)) report.add(`${name}.${inner}`, number);
  }
  return report.build();
}

function asObject(text: string): object | undefined {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed) ? parsed : undefined;
  } catch {
    return undefined;
  }
}

/** JSON of protobuf may spell names either way. */
const snakeCase = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/**
 * How busy the endpoint says that it is: what the application itself measures; else the busiest of the named metrics that
 * the pool goes by; else its processor. 0: it does not say.
 */
export function utilizationOf({ application, cpu, named }: LoadReport, metrics: readonly string[]): number {
  if (application > 0) return application;
  const busiest = metrics.reduce((most, name) => Math.max(most, named.get(name) ?? 0), 0);
  return busiest > 0 ? busiest : cpu;
}
