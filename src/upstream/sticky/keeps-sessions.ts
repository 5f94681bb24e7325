/** The one place that says at which endpoints sessions stay. */
import { ENDPOINT } from '../../memory/endpoint-table.ts';

/**
 * At an endpoint that only drains, they stay where its pool wants it, or the operator who drains it.
 * @param status of the endpoint table.
 */
export function keepsSessions(status: number, whileDraining: 'move' | 'keep'): boolean {
  if ((status & ENDPOINT.draining) === 0) return status === 0;
  const isKept = whileDraining === 'keep' || (status & ENDPOINT.keepsSessions) !== 0;
  return isKept && (status & ~(ENDPOINT.draining | ENDPOINT.keepsSessions)) === 0;
}
