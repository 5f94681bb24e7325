/** How many files and sockets this process may have open, and how near a socket is to the last one. */
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';

/** Beyond this share of the limit, clients are refused: what is left is for upstreams, logs and operators. */
const SHARE = 0.9;

/** The highest descriptor that a client may get; unknown outside Linux, where nothing is refused for it. */
export const HIGHEST_DESCRIPTOR: number = SHARE * openFilesLimit();

/** The kernel gives the lowest free number, so a high one means that all below it are taken. */
export function descriptorOf(socket: Socket): number {
  const { _handle } = socket as Socket & { readonly _handle?: { readonly fd?: number } | null };
  return _handle?.fd ?? -1;
}

function openFilesLimit(): number {
  try {
    const limit = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1];
    return limit === undefined ? Infinity : Number(limit);
  } catch {
    return Infinity;
  }
}
