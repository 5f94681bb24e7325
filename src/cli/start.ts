/**
 * `aya start`: serves until it is told to end. Nothing is lost on the way out: a signal drains, and so does an error that
 * nobody caught.
 */
import { availableParallelism } from 'node:os';
import pino from 'pino';
import type { ConfigRefused } from '../control/config-source.ts';
import type { Gateway } from '../control/gateway.ts';
import { dismissStandby, launchAhead } from '../control/thread-line.ts';
import { giveBackMemory } from './give-back.ts';
import { EXIT, type Outcome } from './outcome.ts';

/** Resolves when the gateway could not start; once it serves, the process ends by itself. */
export async function start(dir: string): Promise<Outcome> {
  const starting = begin(dir);
  // From the first moment: before it listens, SIGHUP would end the process.
  process.on('SIGHUP', () => void starting.then((gateway) => gateway.reload('SIGHUP'), ignore));
  try {
    endGracefully(await starting);
    return await new Promise(() => {});
  } catch (error) {
    if (!(error instanceof Error && error.name === 'ConfigRefused')) throw error;
    const { refusal } = await import('./configuration.ts');
    return { err: `aya: ${refusal(dir, (error as ConfigRefused).problems)}`, exitCode: EXIT.failed };
  }
}

/**
 * The data threads load their code while the control plane loads its own and reads the configuration: one at first, or
 * they would only take the processors from it.
 */
async function begin(dir: string): Promise<Gateway> {
  launchAhead(1);
  try {
    const { startGateway } = await import('../control/gateway.ts');
    launchAhead(process.platform === 'linux' ? availableParallelism() : 1);
    return await startGateway({ dir, onSettled: giveBackMemory });
  } finally {
    dismissStandby();
  }
}

/**
 * Not close-with-grace: it would end the process in the middle of a drain at the first error, and it also takes the
 * signals of real faults (SIGSEGV, SIGBUS …), after which no JavaScript may run.
 */
function endGracefully(gateway: Gateway): void {
  const log = openLog();
  let ending = false;
  const end = async (exitCode: number) => {
    ending = true;
    try {
      await gateway.close();
    } catch (error) {
      log.error({ event: 'drain_failed', err: error }, 'the drain failed');
      process.exit(EXIT.failed);
    }
    // Whatever still holds the event loop must not hold a drained gateway.
    process.exit(exitCode);
  };

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (!ending) return void end(EXIT.done);
      log.warn({ event: 'cut', signal }, `second signal, ${signal}: ending at once`);
      process.exit(EXIT.failed);
    });
  }

  // Rejections too, which arrive here when nobody handles them. The control plane's state is unknown from here on, so it
  // must not go on deciding; the data threads are well, so what they hold is finished. Whoever started us starts us anew.
  process.on('uncaughtException', (error) => {
    log.fatal({ event: 'control_plane_failed', err: error }, 'the control plane failed: draining, then exit code 1');
    if (!ending) void end(EXIT.failed);
  });
}

/** As the control plane's own. */
function openLog() {
  const destination = pino.destination({ fd: 1, sync: true });
  // A reader that is gone must not take the gateway with it.
  destination.on('error', ignore);
  return pino({ base: null, timestamp: pino.stdTimeFunctions.isoTime }, destination);
}

function ignore(): void {}
