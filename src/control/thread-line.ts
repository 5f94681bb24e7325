/** A data thread seen from outside: a line to talk over, an end to hear of, a way to end it. */
import { enableCompileCache, getCompileCacheDir } from 'node:module';
import { dirname } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { FromThread, Line, ThreadData, ToThread } from '../data/messages.ts';

export interface ThreadLine extends Line<ToThread, FromThread> {
  /** Called once, whatever ended the thread. */
  onExit(gone: (cause: Error) => void): void;
  /** Ends it at once, also when it spins. Resolves when it has ended, after `onExit`. */
  terminate(): Promise<void>;
}

export type SpawnThread = (data: ThreadData) => ThreadLine;

/**
 * A busy thread grows its room for young objects to this and keeps it; V8 would let it grow to 192 MiB. Objects live for one
 * request: with too little room, those of many requests in flight are copied again and again (512 over HTTP/2: 7.5 µs of
 * collecting for each with 24 MiB, 4 with 48, 3 with 96).
 */
const YOUNG_GENERATION_MIB = 48;

const WORKER = new URL(`../data/worker.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`, import.meta.url);

/** Threads that have loaded their code, or are about to, and belong to nobody yet. */
const standby: LaunchedThread[] = [];

/** Starts threads before it is known what they shall do: they load while the configuration is read. */
export function launchAhead(count: number): void {
  while (standby.length < count) standby.push(new LaunchedThread());
}

/** Ends those that nobody needed. */
export function dismissStandby(): void {
  for (const thread of standby.splice(0)) void thread.worker.terminate();
}

export const spawnWorker: SpawnThread = (data) => {
  const { worker, gone } = standby.find(({ isGone }) => !isGone) ?? new LaunchedThread();
  const at = standby.findIndex((thread) => thread.worker === worker);
  if (at !== -1) standby.splice(at, 1);
  worker.postMessage(data);
  return {
    send: (message) => worker.postMessage(message),
    onMessage: (receive) => void worker.on('message', receive),
    onExit: (listener) => void gone.then(listener),
    terminate: async () => void (await worker.terminate()),
  };
};

class LaunchedThread {
  readonly worker: Worker;
  readonly gone: Promise<Error>;
  isGone = false;

  constructor() {
    shareCompileCache();
    this.worker = new Worker(WORKER, {
      name: 'data',
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MIB },
    });
    let cause: Error | undefined;
    this.worker.on('error', (error: unknown) => {
      cause = error instanceof Error ? error : new Error(String(error));
    });
    this.gone = new Promise((resolve) => {
      this.worker.once('exit', (code) => {
        this.isGone = true;
        resolve(cause ?? new Error(`exit code ${code}`));
      });
    });
  }
}

/** A restarted thread compiles nothing that was compiled before: 190 ms become 100. Only the variable reaches threads. */
function shareCompileCache(): void {
  if (process.env['NODE_COMPILE_CACHE'] !== undefined) return;
  enableCompileCache();
  const dir = getCompileCacheDir();
  if (dir !== undefined) process.env['NODE_COMPILE_CACHE'] = dirname(dir);
}
