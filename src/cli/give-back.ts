/**
 * Gives back to the system what reading a configuration leaves behind: 50 MiB for a small one. Afterwards the control
 * plane does next to nothing, so it would never have cause to collect its garbage.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { systemClock, type Timer } from '../clock.ts';

/** The reloads of one deployment share one collection, and their traffic is not disturbed by it. */
const QUIET_MS = 1_000;

let waiting: Timer | undefined;

/** Once nobody has asked for a while. The control plane stands still for some 60 ms then; data threads do not notice. */
export function giveBackMemory(): void {
  waiting?.cancel();
  waiting = systemClock.after(QUIET_MS, collect);
}

function collect(): void {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as NodeJS.GCFunction;
  setFlagsFromString('--no-expose-gc');
  // Any other flavor keeps the room that young objects had at the busiest moment.
  gc({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}
