/** Summaries as a table for people. */
import type { Scenario } from './scenarios.ts';
import type { Summary } from './summary.ts';

const HEAD = ['balance', 'p50 ms', 'p99 ms', '× oracle', 'failed', 'refused', 'amplified', 'recovered', 'shares %'];

/** @param summaries of one scenario; the oracle's is the first. @param seeds in words. */
export function tableOf(scenario: Scenario, summaries: readonly Summary[], seconds: number, seeds: string): string {
  const rows = [HEAD, ...summaries.map((summary) => rowOf(summary, summaries[0]!))];
  const widths = HEAD.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const lines = rows.map((row) =>
    row
      .map((cell, column) => padded(cell, widths[column]!, column))
      .join('  ')
      .trimEnd(),
  );
  const { length } = scenario.servers;
  const terms = `${length} endpoints, ${scenario.perSecond} requests a second for ${seconds} s, ${seeds}`;
  return [`${scenario.name}: ${scenario.what}`, terms, '', ...lines, ''].join('\n');
}

/** Names to the left, figures to the right, and the list at the end as it is. */
function padded(cell: string, width: number, column: number): string {
  if (column === HEAD.length - 1) return cell;
  return column === 0 ? cell.padEnd(width) : cell.padStart(width);
}

function rowOf(summary: Summary, oracle: Summary): string[] {
  return [
    summary.balance,
    summary.p50Ms.toFixed(1),
    summary.p99Ms.toFixed(1),
    (summary.p99Ms / oracle.p99Ms).toFixed(2),
    percent(summary.failed + summary.left),
    percent(summary.refused),
    summary.amplification.toFixed(3),
    recovered(summary.recoveredMs),
    summary.shares.map((share) => (share * 100).toFixed(share < 0.1 ? 1 : 0)).join(' '),
  ];
}

function percent(share: number): string {
  return share === 0 ? '0' : `${(share * 100).toFixed(2)} %`;
}

function recovered(ms: number | undefined): string {
  if (ms === undefined) return '–';
  return ms === Infinity ? 'no' : `${(ms / 1000).toFixed(1)} s`;
}
