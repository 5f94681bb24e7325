/** Configurations from `gateway.yaml` and `routes.d/`, in the words of the control plane. */
import type { Clock } from '../clock.ts';
import { diff, type Change } from '../config/diff.ts';
import { scanLanguage, type Language } from '../config/language.ts';
import { load, type LoadedFiles } from '../config/load.ts';
import type { Environment } from '../config/placeholders.ts';
import { tlsFileDigests } from '../config/tls-files.ts';
import { watch, type FileWatch } from '../config/watch.ts';
import type { ConfigSource, Loaded } from './config-source.ts';

interface LoadedFromFiles extends Loaded {
  readonly files: LoadedFiles;
}

export function fileSource(dir: string, env: Environment, clock: Clock): ConfigSource {
  // Plugins and balancers stay what they were at the start: the threads have loaded them.
  let language: Promise<Language> | undefined;
  let watching: FileWatch | undefined;
  /** Of what was loaded last: a pair that does not fit is refused, and must be seen when it is mended. */
  let tlsFiles: ReadonlyMap<string, string> = new Map();
  return {
    async load(previous) {
      language ??= scanLanguage();
      const { files: serving } = (previous ?? {}) as Partial<LoadedFromFiles>;
      const options = { env, language: await language, ...(serving === undefined ? {} : { previous: serving }) };
      const { config, problems, files, secrets } = await load(dir, options);
      if (config !== undefined) tlsFiles = tlsFileDigests(config);
      watching?.follow(new Map([...files.flatMap((file) => [...file.attached]), ...tlsFiles]));
      const staleFiles = files.filter(({ state }) => state === 'stale').map(({ path }) => path);
      const loaded: LoadedFromFiles = { problems, staleFiles, files, secrets };
      return config === undefined ? loaded : { ...loaded, config };
    },
    watch: (onChange) => (watching = watch(dir, clock, onChange)),
    diff: (before, after) => diff(before, after).map(tellChange),
  };
}

/** `pool 'orders' changed: health.active.interval` */
export function tellChange({ kind, name, change, paths }: Change): string {
  const what = name === '' ? kind : `${kind} '${name}'`;
  return paths.length === 0 ? `${what} ${change}` : `${what} ${change}: ${paths.join(', ')}`;
}
