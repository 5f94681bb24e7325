/** The entry of a data thread: its line is the port to the control plane. */
import { parentPort, workerData } from 'node:worker_threads';
import { createDataPlane } from './data-plane.ts';
import type { FromThread, ThreadData, ToThread } from './messages.ts';

const port = parentPort!;

await createDataPlane(workerData as ThreadData, {
  send: (message: FromThread) => port.postMessage(message),
  onMessage: (receive: (message: ToThread) => void) => void port.on('message', receive),
});
