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

const WORKER = new URL(`../data/worker.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`, import.meta.url);

export const spawnWorker: SpawnThread = (data) => {
  shareCompileCache();
  const worker = new Worker(WORKER, { workerData: data, name: `data-${data.thread}` });
  let cause: Error | undefined;
  worker.on('error', (error: unknown) => {
    cause = error instanceof Error ? error : new Error(String(error));
  });
  return {
    send: (message) => worker.postMessage(message),
    onMessage: (receive) => void worker.on('message', receive),
    onExit: (gone) => void worker.once('exit', (code) => gone(cause ?? new Error(`exit code ${code}`))),
    terminate: async () => void (await worker.terminate()),
  };
};

/** A restarted thread compiles nothing that was compiled before: 190 ms become 100. Only the variable reaches threads. */
function shareCompileCache(): void {
  if (process.env['NODE_COMPILE_CACHE'] !== undefined) return;
  enableCompileCache();
  const dir = getCompileCacheDir();
  if (dir !== undefined) process.env['NODE_COMPILE_CACHE'] = dirname(dir);
}
