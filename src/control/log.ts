import fs from 'node:fs';
import pino from 'pino';

/** What the control plane needs of a logger: pino has it, a test's array of lines too. */
export interface ControlLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** Takes whole lines for the same output, each with its line feed: of what is logged often, and is in JSON already. */
export type WriteLines = (lines: string) => void;

const STDOUT = 1;
/** What a pipe takes in one piece, so that the lines of other threads cannot come between (PIPE_BUF, pipe(7)). */
const PIPE_BYTES = 4096;
/** UTF-8, of one UTF-16 unit. */
const MOST_BYTES_EACH = 3;

/** @param sink gets each line, instead of standard output. */
export function openLog(sink: ((line: string) => void) | undefined): { log: ControlLog; writeLines: WriteLines } {
  const destination = sink === undefined ? pino.destination({ fd: STDOUT, sync: true }) : { write: sink };
  const log = pino({ base: null, timestamp: pino.stdTimeFunctions.isoTime }, destination);
  const write = (block: string) => void destination.write(block);
  if (sink !== undefined) return { log, writeLines: (lines) => writeInBlocks(lines, 0, write) };
  if (fs.fstatSync(STDOUT).isFile()) return { log, writeLines: write };
  return { log, writeLines: (lines) => writeInBlocks(lines, charactersIn(lines, PIPE_BYTES), write) };
}

/** How many of its characters are certain to fit. */
function charactersIn(text: string, bytes: number): number {
  return Buffer.byteLength(text) === text.length ? bytes : Math.floor(bytes / MOST_BYTES_EACH);
}

/** @param most characters of a block, unless one line alone has more. Exported for its test. */
export function writeInBlocks(lines: string, most: number, write: (block: string) => void): void {
  for (let from = 0; from < lines.length;) {
    let to = lines.length;
    if (to - from > most) to = lines.lastIndexOf('\n', from + most - 1) + 1;
    if (to <= from) to = lines.indexOf('\n', from) + 1 || lines.length;
    write(lines.slice(from, to));
    from = to;
  }
}
