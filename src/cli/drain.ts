/** `aya drain POOL ENDPOINT`: takes an endpoint of the running gateway out of service, and `--undo` brings it back. */
import { DURATION_PATTERN } from '../config/units.ts';
import { adminOf, type AdminOptions } from './admin-client.ts';
import { loadConfig } from './configuration.ts';
import { counted, EXIT, type Outcome } from './outcome.ts';
import { yellow } from './style.ts';

export interface DrainFlags extends AdminOptions {
  readonly dir: string;
  readonly undo?: boolean;
  readonly keepSessions?: boolean;
  readonly timeout?: string;
}

interface Drained {
  readonly pool: string;
  readonly endpoint: string;
  readonly inFlight: number;
  readonly others: number;
}

export async function drain(pool: string, endpoint: string, flags: DrainFlags): Promise<Outcome> {
  const { dir, undo = false, keepSessions = false, timeout, ...admin } = flags;
  const wrong = usageFault(undo, keepSessions, timeout);
  if (wrong !== undefined) return { err: `aya: ${wrong}`, exitCode: EXIT.usage };
  const client = adminOf(admin, await loadConfig(dir));
  const query = new URLSearchParams({
    endpoint,
    ...(keepSessions && { keepSessions: 'true' }),
    ...(timeout !== undefined && { timeout }),
  });
  const path = `/pools/${encodeURIComponent(pool)}/${undo ? 'undrain' : 'drain'}?${query.toString()}`;
  const { endpoint: url, inFlight, others } = await client.post<Drained>(path);
  if (undo) return { out: `${url} of pool ${pool} takes requests again`, exitCode: EXIT.done };
  const kept = keepSessions ? 'nothing new but what is stuck to it' : 'nothing new';
  const closing = timeout === undefined ? '' : `; its WebSockets are closed in ${timeout}`;
  const left = `${counted(inFlight, 'request')} in flight`;
  const out = `${url} of pool ${pool} gets ${kept}; ${left}${closing}`;
  if (others > 0) return { out, exitCode: EXIT.done };
  return {
    out,
    err: yellow(`no other endpoint of pool ${pool} is available: --undo takes this back`),
    exitCode: EXIT.done,
  };
}

function usageFault(undo: boolean, keepSessions: boolean, timeout: string | undefined): string | undefined {
  if (undo && (keepSessions || timeout !== undefined)) return '--undo goes alone';
  if (timeout !== undefined && !DURATION_PATTERN.test(timeout))
    return `--timeout: '${timeout}' is not a duration such as 30s`;
  return undefined;
}
