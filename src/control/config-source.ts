/** Where the control plane's configurations come from: files, or whatever a test hands over. */
import type { Config } from '../config/schema.ts';
import type { Problem } from '../config/problem.ts';
import type { ConfigWatch } from '../config/watch.ts';

export interface Loaded {
  /** Absent: nothing that can serve could be made of what was found. */
  readonly config?: Config;
  /** Errors and warnings of all files. */
  readonly problems: readonly Problem[];
  /** Files that are wrong now and serve as they last were. */
  readonly staleFiles: readonly string[];
  /** Values that must never be shown, wherever they stand. */
  readonly secrets: readonly string[];
}

export interface ConfigSource {
  /** @param previous what serves: a file that has become wrong since is taken from there. Without it, a wrong file refuses all. */
  load(previous?: Loaded): Promise<Loaded>;
  /** Calls back some time after something changed, once for changes that come together. */
  watch(onChange: () => void): ConfigWatch;
  /** One sentence for each thing that differs. */
  diff(before: Config, after: Config): readonly string[];
}

/** The configuration cannot serve; nothing was started. */
export class ConfigRefused extends Error {
  override readonly name = 'ConfigRefused';
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super('the configuration was refused');
    this.problems = problems;
  }
}
