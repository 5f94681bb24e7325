/** The demo's processes: real ones, so that they can be killed; every one is ended by its id before the demo ends. */
import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { Clock } from '../clock.ts';

const STOP_TIMEOUT_MS = 1_500;

const started = new Set<ChildProcess>();
process.on('exit', () => started.forEach((child) => child.kill('SIGKILL')));

/** Runs one of the gateway's own programs, `cli/demo-service` say: from source where this is source, else from dist. */
export function run(program: string, args: readonly string[], stdio: StdioOptions): ChildProcess {
  const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
  const file = fileURLToPath(new URL(`../${program}${extension}`, import.meta.url));
  const child = spawn(process.execPath, [file, ...args], { stdio });
  started.add(child);
  child.once('exit', () => started.delete(child));
  return child;
}

export function isGone(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/** Asks with SIGTERM; a second and a half later it insists: nobody waits for what a demo had in flight. */
export async function end(child: ChildProcess, clock: Clock): Promise<void> {
  if (isGone(child)) return;
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  const insist = clock.after(STOP_TIMEOUT_MS, () => child.kill('SIGKILL'));
  await gone;
  insist.cancel();
}

export const sleep = (clock: Clock, ms: number) => new Promise<void>((resolve) => clock.after(ms, resolve));

export function isFree(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, host, () => probe.close(() => resolve(true)));
  });
}
