/** Colours and columns. Colours only where a terminal reads them, and never with NO_COLOR: `styleText` looks for both. */
import { stripVTControlCharacters, styleText } from 'node:util';

export const bold = (text: string) => styleText('bold', text);
export const dim = (text: string) => styleText('dim', text);
export const red = (text: string) => styleText('red', text);
export const green = (text: string) => styleText('green', text);
export const yellow = (text: string) => styleText('yellow', text);

const GAP = '  ';

/** Rows under each other, each column as wide as its widest cell; the last is left as it is. */
export function columns(rows: readonly (readonly string[])[], indent = ''): string {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, at) => (widths[at] = Math.max(widths[at] ?? 0, visibleLength(cell))));
  }
  const line = (row: readonly string[]) => row.map((cell, at) => cell + ' '.repeat(widths[at]! - visibleLength(cell)));
  return rows.map((row) => (indent + line(row).join(GAP)).trimEnd()).join('\n');
}

const visibleLength = (text: string) => stripVTControlCharacters(text).length;
