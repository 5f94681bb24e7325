/**
 * The processes of a bench: started on a processor of their own, asked what they cost, ended by their id.
 * What a process costs is read from Linux's /proc, threads and children included.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { askHttp1, type Ask } from './ask.ts';

/** The proxy has this processor for itself; what loads it and what answers it share the other. */
export const PROXY_CORE = 0;
export const LOAD_CORE = 1;

/** One tick of /proc/PID/stat in µs: Linux reports to user space at 100 Hz whatever its own timer does. */
const TICK_US = 10_000;
const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 3_000;

export interface Command {
  readonly argv: readonly [string, ...string[]];
  readonly env?: Readonly<Record<string, string>>;
}

export interface Running {
  readonly pid: number;
  readonly exited: () => boolean;
  /** SIGTERM, then SIGKILL after three seconds. */
  stop(): Promise<void>;
}

const running = new Set<ChildProcess>();

/** An exception or Ctrl-C leaves no process behind. */
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));

export const canPin = availableParallelism() > 1 && spawnSync('taskset', ['-V']).status === 0;

/** @param core undefined leaves the process on all processors. */
export function pinned(argv: Command['argv'], core: number | undefined): [string, ...string[]] {
  return canPin && core !== undefined ? ['taskset', '-c', String(core), ...argv] : [...argv];
}

/** Starts the command in `dir`; what it says goes to the file `name`.log there, which is told when it fails. */
export function start(name: string, command: Command, dir: string, core?: number): Running {
  const [file, ...args] = pinned(command.argv, core);
  const log = openSync(join(dir, `${name}.log`), 'w');
  const child = spawn(file, args, { cwd: dir, env: { ...process.env, ...command.env }, stdio: ['ignore', log, log] });
  closeSync(log);
  running.add(child);
  const gone = once(child, 'exit').catch(() => undefined);
  void gone.then(() => running.delete(child));
  const exited = () => child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
  return {
    pid: child.pid ?? 0,
    exited,
    async stop() {
      if (exited()) return;
      child.kill('SIGTERM');
      const kill = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
      await gone;
      clearTimeout(kill);
    },
  };
}

/** Resolves once `url` answers 200; rejects with the last words of a process that ended or stayed mute. */
export async function answering(
  name: string,
  process_: Running,
  url: string,
  dir: string,
  ask: Ask = askHttp1(),
): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (performance.now() < deadline) {
    if (process_.exited()) break;
    if (await ask(url)) return;
    await pause(5);
  }
  const fate = process_.exited() ? 'ended' : `did not answer ${url} within ${START_TIMEOUT_MS / 1000} s`;
  throw new Error(`${name} ${fate}: ${lastWords(join(dir, `${name}.log`))}`);
}

/** The line that names an error, for a stack trace ends in places; else the last few. */
function lastWords(log: string): string {
  const lines = readFileSync(log, 'utf8').trim().split('\n');
  return (lines.find((line) => /error\b.*:/i.test(line)) ?? lines.slice(-5).join(' ')) || 'it said nothing';
}

/** CPU time of the process and all its descendants since they started, in µs; threads count, and ended children. */
export function cpuTimeUs(pid: number): number {
  let ticks = 0;
  for (const each of family(pid)) {
    const [utime, stime, cutime, cstime] = statFields(each).slice(11, 15).map(Number) as [
      number,
      number,
      number,
      number,
    ];
    ticks += utime + stime + cutime + cstime;
  }
  return ticks * TICK_US;
}

/** The most memory the process ever had resident, in MiB, and what it has now. */
export function residentMiB(pid: number): { peak: number; now: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const mebibytes = (key: string) => Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) / 1024;
  return { peak: mebibytes('VmHWM'), now: mebibytes('VmRSS') };
}

function family(pid: number): number[] {
  const children = new Map<number, number[]>();
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const parent = Number(statFields(Number(entry))[1]);
    children.set(parent, [...(children.get(parent) ?? []), Number(entry)]);
  }
  const members = [pid];
  for (const member of members) members.push(...(children.get(member) ?? []));
  return members;
}

/** The fields after `pid (name)`: state, ppid, …; a name may hold spaces and brackets. All zero once it is gone. */
function statFields(pid: number): string[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return Array<string>(50).fill('0');
  }
}

/** Ports that nobody holds now, all different: each is held until all are chosen. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => once(server.close(), 'close')));
  return ports;
}

/** What a program says about its version, or undefined when it is not installed. */
export function versionOf(program: string, flag: string): string | undefined {
  const said = spawnSync(program, [flag], { encoding: 'utf8' });
  if (said.error) return undefined;
  return /\d+(?:\.\d+)+/.exec(said.stdout + said.stderr)?.[0] ?? 'of unknown version';
}
