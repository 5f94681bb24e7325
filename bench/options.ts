/** The command line of a bench: what of it is to be measured, and how long. */
import { parseArgs } from 'node:util';

export interface BenchOptions {
  readonly quick: boolean;
  /** Names of contestants and of what they are measured in; empty: all. */
  readonly only: ReadonlySet<string>;
  /** Where the findings are written as well. */
  readonly json: string | undefined;
  readonly rounds: number;
}

interface Named {
  readonly name: string;
}

/** Ends the process where a name is unknown. */
export function benchOptions(known: readonly Named[], rounds: { quick: number; usual: number }): BenchOptions {
  const { values, positionals } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string', multiple: true },
      json: { type: 'string' },
      rounds: { type: 'string' },
    },
    allowPositionals: true, // --only floor nginx
  });
  const { quick, json } = values;
  const only = new Set([...(values.only ?? []), ...positionals]);
  const names = known.map(({ name }) => name);
  const unknown = [...only].filter((name) => !names.includes(name));
  if (unknown.length > 0) {
    console.error(`unknown: ${unknown.join(', ')}; choose from ${names.join(', ')}`);
    process.exit(2);
  }
  return { quick, only, json, rounds: Number(values.rounds ?? rounds[quick ? 'quick' : 'usual']) };
}

/** Those named, or all when none of them was. */
export function chosen<Choice extends Named>(all: readonly Choice[], only: ReadonlySet<string>): readonly Choice[] {
  const named = all.filter(({ name }) => only.has(name));
  return named.length > 0 ? named : all;
}
