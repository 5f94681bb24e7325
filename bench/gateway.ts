/** One Aya on all processors, as in production, for the scenarios that ask about the gateway rather than its cost. */
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { ayaCommand, type Process } from './contestants/aya.ts';
import type { Place } from './contestants/contestant.ts';
import { answering, freePorts, start, type Running } from './process.ts';
import type { Bench } from './scenarios/scenario.ts';

export interface Gateway extends Running {
  readonly dir: string;
  readonly origin: string;
}

/** @param files what routes.d holds. @param path answers 200 as soon as it serves. */
export async function startGateway(
  bench: Bench,
  process: Process,
  files: (place: Place) => Readonly<Record<string, string>>,
  path: string,
): Promise<Gateway> {
  const dir = mkdtempSync(join(bench.dir, 'aya-'));
  const [port = 0] = await freePorts(1);
  const place = { dir, port, origins: bench.origins };
  const origin = `http://127.0.0.1:${port}`;
  const running = start('aya', ayaCommand(place, process, files(place)), dir);
  try {
    await answering('aya', running, `${origin}${path}`, dir);
  } catch (error) {
    await running.stop();
    throw error;
  }
  return { ...running, dir, origin };
}
