/** The one place that says at which endpoints sessions stay. */
import { ENDPOINT } from '../../memory/endpoint-table.ts';

/** @param status of the endpoint table. At an endpoint that only drains, sessions stay where that is wanted. */
export function keepsSessions(status: number, whileDraining: 'move' | 'keep'): boolean {
  return (whileDraining === 'keep' ? status & ~ENDPOINT.draining : status) === 0;
}
