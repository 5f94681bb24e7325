/** One proxy in the comparison: how it is configured for the bench's one job, and started. */
import type { Command } from '../process.ts';

/** What a contestant is given: a directory for its files, a port to listen on, and the origin's ports. */
export interface Place {
  readonly dir: string;
  readonly port: number;
  readonly origins: readonly number[];
}

export interface Contestant {
  readonly name: string;
  /** Undefined: not installed. */
  readonly version: string | undefined;
  /** Writes its configuration into the place and says how to start it there, in the foreground. */
  configure(place: Place): Command;
}
