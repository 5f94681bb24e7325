/**
 * The entry of a data thread. It loads all it will need, then waits to be told which thread it is: so it can be started
 * before the configuration is read, and only waits for its first message.
 */
import { parentPort } from 'node:worker_threads';
import { scanPlugins } from '../extension.ts';
import { scanBalancers } from '../upstream/balance.ts';
import { createDataPlane } from './data-plane.ts';
import type { FromThread, ThreadData, ToThread } from './messages.ts';

const port = parentPort!;
await Promise.all([scanPlugins(), scanBalancers()]);

/** What comes before the data plane listens. */
const early: ToThread[] = [];
let receive = (message: ToThread): void => void early.push(message);

port.once('message', (data: ThreadData) => {
  port.on('message', (message: ToThread) => receive(message));
  void createDataPlane(data, {
    send: (message: FromThread) => port.postMessage(message),
    onMessage(listener: (message: ToThread) => void) {
      receive = listener;
      for (const message of early) listener(message);
    },
  });
});
