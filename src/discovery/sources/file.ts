/** A file that something else writes: a deploy, a script, an agent beside the gateway. Watched, not asked for. */
import { watch, type FSWatcher } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, isAbsolute, relative, resolve } from 'node:path';
import { hashOf } from '../../config/read.ts';
import { Text } from '../../config/shapes.ts';
import type { Clock, Timer } from '../../clock.ts';
import { readListing } from '../listing.ts';
import { defineSource, type Answer } from '../source.ts';

interface FileSettings {
  readonly file: string;
}

/** A save is several events. */
const DEBOUNCE_MS = 100;
/** Network file systems send no events. */
const POLL_MS = 5_000;

export default defineSource<FileSettings>({
  name: 'file',
  about: 'Endpoints that a file lists: URLs, or objects with url, weight and backup.',
  settings: {
    file: Text(
      'A list of endpoints in JSON or YAML, relative to the configuration’s directory. Followed as it changes.',
    ),
  },
  check({ file }, dir) {
    if (isAbsolute(file) || !relative(dir, resolve(dir, file)).startsWith('..')) return [];
    const message = `'${file}' leads out of the configuration's directory: write an absolute path if that is meant`;
    return [{ key: 'file', message }];
  },
  create: ({ file }, { dir, clock }) => ({
    async *watch(signal) {
      const path = resolve(dir, file);
      let before: string | undefined;
      while (!signal.aborted) {
        // Before it is read, so that no change falls in between.
        const change = new NextChange(path, clock, signal);
        const bytes = await readFile(path).catch((error: unknown) => error as NodeJS.ErrnoException);
        const now = bytes instanceof Error ? `${bytes.code}` : hashOf(bytes);
        // Whoever writes in place is first seen with half a file, which in YAML is a file: two looks must agree.
        const isSettled = before === undefined || now === before;
        before = now;
        if (isSettled) yield answerOf(file, bytes);
        await change.within(isSettled ? POLL_MS : DEBOUNCE_MS);
      }
    },
  }),
});

function answerOf(file: string, bytes: Uint8Array | NodeJS.ErrnoException): Answer {
  if (bytes instanceof Error) return new Error(`${file}: cannot be read: ${bytes.code ?? bytes.message}`);
  try {
    return readListing(file, bytes);
  } catch (error) {
    return error as Error;
  }
}

/** Something in the directory of a file, which is what a save by renaming and a mounted ConfigMap change. */
class NextChange {
  readonly #clock: Clock;
  readonly #happened: Promise<void>;
  #settle = () => {};

  constructor(path: string, clock: Clock, signal: AbortSignal) {
    this.#clock = clock;
    this.#happened = new Promise((resolve) => {
      let soon: Timer | undefined;
      const watcher = watchDirectory(dirname(path), () => (soon ??= clock.after(DEBOUNCE_MS, this.#settle)));
      this.#settle = () => {
        soon?.cancel();
        watcher?.close();
        signal.removeEventListener('abort', this.#settle);
        resolve();
      };
      if (signal.aborted) this.#settle();
      else signal.addEventListener('abort', this.#settle, { once: true });
    });
  }

  /** Until it has happened, or the time is up. */
  async within(ms: number): Promise<void> {
    const late = this.#clock.after(ms, this.#settle);
    await this.#happened;
    late.cancel();
  }
}

/** None where there is no directory, or no watch left to have: the poll will see. */
function watchDirectory(path: string, onEvent: () => void): FSWatcher | undefined {
  try {
    return watch(path, { persistent: false }, onEvent).on('error', onEvent);
  } catch {
    return undefined;
  }
}
