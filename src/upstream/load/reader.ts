/** Takes load reports out of answers: they are for the gateway, and no business of clients. */
import type { Clock } from '../../clock.ts';
import type { AdaptiveConfig } from '../../config/schema.ts';
import type { LoadTable } from '../../memory/load-table.ts';
import { decodeReport } from './binary.ts';
import { parseReport, utilizationOf } from './report.ts';

const TEXT = 'endpoint-load-metrics';
const BINARY = `${TEXT}-bin`;

export class LoadReader {
  readonly #loads: LoadTable;
  readonly #clock: Clock;
  readonly #metrics: readonly string[];

  constructor({ metrics }: AdaptiveConfig, loads: LoadTable, clock: Clock) {
    this.#loads = loads;
    this.#clock = clock;
    this.#metrics = metrics;
  }

  /**
   * @param fields of a head, or trailers: flat.
   * @param failed what the answer says of the endpoint.
   * @returns the fields without reports; the same array where there is none.
   */
  take(row: number, fields: string[], failed: boolean): string[] {
    for (let at = 0; at < fields.length; at += 2) {
      if (isReport(fields[at]!)) return this.#takeFrom(row, fields, failed);
    }
    return fields;
  }

  #takeFrom(row: number, fields: string[], failed: boolean): string[] {
    const kept: string[] = [];
    const found: string[] = [];
    for (let at = 0; at < fields.length; at += 2) {
      (isReport(fields[at]!) ? found : kept).push(fields[at]!, fields[at + 1]!);
    }
    // Two reports of one moment: nobody can tell which is meant.
    const report = found.length > 2 ? undefined : readReport(found[0]!, found[1]!);
    if (report === undefined) {
      this.#loads.refuse(row);
      return kept;
    }
    const { rate, errorRate } = report;
    const utilization = utilizationOf(report, this.#metrics);
    this.#loads.report(row, { utilization, rate, errorRate }, failed, this.#clock.now());
    return kept;
  }
}

const readReport = (name: string, value: string) =>
  name.length === BINARY.length ? decodeReport(value) : parseReport(value);

/** The length first: it tells nearly all fields apart. */
function isReport(name: string): boolean {
  if (name.length !== TEXT.length && name.length !== BINARY.length) return false;
  const lower = name.toLowerCase();
  return lower === TEXT || lower === BINARY;
}
