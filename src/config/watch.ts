/**
 * Tells when the files of a configuration may have changed. Directories are watched, not files: an editor that saves by
 * renaming, and Kubernetes, which swaps the symbolic link `..data`, replace what a watch on a file would hang on. Events
 * only say when to look; what counts is the contents.
 */
import { createHash } from 'node:crypto';
import { watch as watchPath, type FSWatcher } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Clock, Timer } from '../clock.ts';
import { hashOf } from './read.ts';
import { CONSUMERS_DIR, readSources, ROUTES_DIR } from './sources.ts';

export interface ConfigWatch {
  /** Resolves when every change from then on will be seen. */
  readonly ready: Promise<void>;
  /** No further call of `onChange`. */
  close(): void;
}

/** A save is several events; a reload waits until they are over. */
const DEBOUNCE_MS = 100;
/** Network file systems send no events, and a queue of events may overflow. */
const POLL_MS = 5_000;

/** The same, for a configuration that names further files. */
export interface FileWatch extends ConfigWatch {
  /** From now on these are watched too. @param files digests of what was loaded, by full path. */
  follow(files: ReadonlyMap<string, string>): void;
}

/** Digests by path. Of the files in the configuration's own places there is one for all. */
type Contents = ReadonlyMap<string, string>;

/** @param onChange called after each change of contents, never for a mere touch. */
export function watch(dir: string, clock: Clock, onChange: () => void): FileWatch {
  let watchers: FSWatcher[] = [];
  let debounce: Timer | undefined;
  let followed: Contents = new Map();
  let seen: Contents | undefined;
  /** A change that one look has found. */
  let found: Contents | undefined;
  let looking: Promise<void> | undefined;
  let closed = false;

  const look = async (): Promise<void> => {
    // Anew each time, before reading: the directories may have come, gone or been replaced, and nothing falls in between.
    stop();
    const directories = new Set([
      dir,
      join(dir, ROUTES_DIR),
      join(dir, CONSUMERS_DIR),
      ...[...followed.keys()].map((path) => dirname(path)),
    ]);
    watchers = [...directories].flatMap((path) => watchDirectory(path, soon));
    const now = await contents(dir, followed);
    if (closed) return;
    seen ??= now;
    if (!differs(now, seen)) return;
    // Whoever writes in place is first seen with half a file: a change is what two looks have found.
    if (found === undefined || differs(now, found)) {
      found = now;
      return soon();
    }
    seen = now;
    onChange();
  };

  const lookAfterThat = () => {
    if (!closed) looking = Promise.resolve(looking).then(look);
    return looking;
  };

  const soon = () => {
    debounce?.cancel();
    debounce = clock.after(DEBOUNCE_MS, lookAfterThat);
  };

  const stop = () => {
    for (const watcher of watchers) watcher.close();
    watchers = [];
  };

  const poll = clock.every(POLL_MS, lookAfterThat);
  const ready = (looking = look());

  return {
    ready,
    follow(files) {
      if (files.size === 0 && followed.size === 0) return;
      // A new one is compared with what was loaded, so that no edit falls in between; the others with the last look.
      seen = new Map([...files, ...(seen ?? [])]);
      followed = files;
      soon();
    },
    close() {
      closed = true;
      poll.cancel();
      debounce?.cancel();
      stop();
    },
  };
}

/** None where there is no directory, or no watch left to have: the poll will see. */
function watchDirectory(path: string, onEvent: () => void): FSWatcher[] {
  try {
    return [watchPath(path, { persistent: false }, onEvent).on('error', onEvent)];
  } catch {
    return [];
  }
}

function differs(now: Contents, before: Contents): boolean {
  for (const [path, digest] of now) if (before.get(path) !== digest) return true;
  return false;
}

async function contents(dir: string, followed: Contents): Promise<Contents> {
  const others = [...followed.keys()].map(async (path): Promise<[string, string]> => {
    const bytes = await readFile(path).catch(() => undefined);
    return [path, bytes === undefined ? '' : hashOf(bytes)];
  });
  return new Map([[dir, await fingerprint(dir)], ...(await Promise.all(others))]);
}

/** Names and contents, of all files in the configuration's own places. */
async function fingerprint(dir: string): Promise<string> {
  const hash = createHash('sha256');
  for (const { file, bytes } of await readSources(dir).catch(() => [])) {
    hash.update(`${file}\0${bytes?.length ?? -1}\0`).update(bytes ?? '');
  }
  return hash.digest('hex');
}
