/** What a schema cannot say about `websocket: { inspect: … }`. */
import { child, type Document } from './document.ts';
import type { Problem } from './problem.ts';
import type { WebsocketConfig } from './schema.ts';

/** Whole messages are held in memory, and beyond 2^31 bytes the library would know no limit. */
const LARGEST_MESSAGE = 256 * 1024 * 1024;
const SHORTEST_WINDOW_MS = 100;
const SHORTEST_INTERVAL_MS = 100;
const SHORTEST_PING_MS = 1000;

export function checkWebsocket(websocket: WebsocketConfig, document: Document, at: string): Problem[] {
  const inspect = websocket === false ? undefined : websocket.inspect;
  if (inspect === undefined) return [];
  const below = child(at, 'inspect');
  const fault = (keys: readonly (string | number)[], message: string) =>
    document.error(
      document.valueAt(keys.reduce<string>((place, key) => child(place, String(key)), below)),
      `inspect.${keys.join('.')}: ${message}`,
    );
  const problems: Problem[] = [];
  for (const key of ['maxMessage', 'maxUpstreamMessage'] as const) {
    if (inspect[key] < 1) problems.push(fault([key], 'would refuse every message: allow at least 1B'));
    if (inspect[key] > LARGEST_MESSAGE) {
      problems.push(fault([key], 'is over 256MiB, and messages are held whole: leave inspect out for larger ones'));
    }
  }
  for (const [index, { per }] of [inspect.rate ?? []].flat().entries()) {
    const keys = Array.isArray(inspect.rate) ? ['rate', index, 'per'] : ['rate', 'per'];
    if (per < SHORTEST_WINDOW_MS)
      problems.push(fault(keys, 'is shorter than 100ms: give a longer window, a larger max'));
  }
  if (inspect.ping !== false && inspect.ping < SHORTEST_PING_MS) {
    problems.push(fault(['ping'], 'is shorter than 1s: ping less often, or write false'));
  }
  if (inspect.reconnect !== undefined && inspect.reconnect.interval < SHORTEST_INTERVAL_MS) {
    problems.push(fault(['reconnect', 'interval'], 'is shorter than 100ms: an endpoint that is gone needs a moment'));
  }
  return problems;
}
