import fs from 'node:fs';
import pino from 'pino';

/** What the control plane needs of a logger: pino has it, a test's array of lines too. */
export interface ControlLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** Takes whole lines, each with its line feed, for the same output: of what is logged often, and is in JSON already. */
export type WriteLines = (lines: readonly string[]) => void;

const STDOUT = 1;
/** What a pipe takes in one piece, so that the lines of other threads cannot come between (PIPE_BUF, pipe(7)). */
const PIPE_BLOCK = 4096;
const FILE_BLOCK = 32 * 1024;

/** @param sink gets each line, instead of standard output. */
export function openLog(sink: ((line: string) => void) | undefined): { log: ControlLog; writeLines: WriteLines } {
  const destination = sink === undefined ? pino.destination({ fd: STDOUT, sync: true }) : { write: sink };
  const log = pino({ base: null, timestamp: pino.stdTimeFunctions.isoTime }, destination);
  const blockSize = sink !== undefined ? 0 : fs.fstatSync(STDOUT).isFile() ? FILE_BLOCK : PIPE_BLOCK;
  return { log, writeLines: (lines) => writeInBlocks(lines, blockSize, (block) => void destination.write(block)) };
}

function writeInBlocks(lines: readonly string[], blockSize: number, write: (block: string) => void): void {
  let block = '';
  let size = 0;
  for (const line of lines) {
    const bytes = Buffer.byteLength(line);
    if (block !== '' && size + bytes > blockSize) {
      write(block);
      block = '';
      size = 0;
    }
    block += line;
    size += bytes;
  }
  if (block !== '') write(block);
}
