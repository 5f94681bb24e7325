/**
 * Load reports as gRPC servers send them: `xds.data.orca.v3.OrcaLoadReport`, a protobuf message in base64 under
 * `endpoint-load-metrics-bin`, usually in the trailers. Of its fields those are read that weigh; the rest is skipped.
 */
import { MAX_REPORT_LENGTH, ReportBuilder, type LoadReport } from './report.ts';

/** By field number. */
const DOUBLES: Readonly<Record<number, string>> = {
  1: 'cpu_utilization',
  6: 'rps_fractional',
  7: 'eps',
  9: 'application_utilization',
};
const MAPS: Readonly<Record<number, string>> = { 5: 'utilization', 8: 'named_metrics' };

const VARINT = 0;
const FIXED64 = 1;
const DELIMITED = 2;
const FIXED32 = 5;

/** Of a field: a number where it has 64 bits, its bytes where it is delimited. */
type Visit = (field: number, value: number | Buffer) => void;

/** @returns undefined for what is no report. */
export function decodeReport(value: string): LoadReport | undefined {
  if (value.length > MAX_REPORT_LENGTH || !/^[A-Za-z0-9+/_-]+={0,2}$/.test(value)) return undefined;
  const report = new ReportBuilder();
  const isWhole = visitFields(Buffer.from(value, 'base64'), (field, content) => {
    const scalar = DOUBLES[field];
    if (scalar !== undefined) report.add(scalar, content);
    const map = MAPS[field];
    if (map !== undefined && typeof content !== 'number') addEntry(report, map, content);
  });
  return isWhole ? report.build() : undefined;
}

/** An entry of `map<string, double>`: a message of key = 1 and value = 2. */
function addEntry(report: ReportBuilder, map: string, entry: Buffer): void {
  let name = '';
  let number: unknown = 0;
  const isWhole = visitFields(entry, (field, content) => {
    if (field === 1 && typeof content !== 'number') name = content.toString('utf8');
    if (field === 2) number = content;
  });
  report.add(`${map}.${name}`, isWhole ? number : undefined);
}

/** @returns whether the bytes are whole fields. */
function visitFields(bytes: Buffer, visit: Visit): boolean {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; shift < 64; shift += 7) {
      const byte = bytes[at++];
      if (byte === undefined) return NaN;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    return NaN;
  };
  while (at < bytes.length) {
    const key = varint();
    const field = Math.floor(key / 8);
    const type = key % 8;
    if (!(field > 0)) return false;
    if (type === VARINT) {
      if (Number.isNaN(varint())) return false;
      continue;
    }
    const length = type === FIXED64 ? 8 : type === FIXED32 ? 4 : type === DELIMITED ? varint() : NaN;
    if (!(at + length <= bytes.length)) return false;
    if (type === FIXED64) visit(field, bytes.readDoubleLE(at));
    else if (type === DELIMITED) visit(field, bytes.subarray(at, at + length));
    at += length;
  }
  return true;
}
