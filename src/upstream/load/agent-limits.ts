/** What agents leave to their endpoints, as a pool heeds it: a share of the weight, and how many requests at once. */
import type { EndpointTable } from '../../memory/endpoint-table.ts';

interface Limited {
  readonly row: number;
  readonly writtenWeight: number;
  weight: number;
}

/** Whenever the table's epoch has moved. */
export function heedAgents(endpoints: readonly Limited[], { loads }: EndpointTable): void {
  for (const endpoint of endpoints) endpoint.weight = endpoint.writtenWeight * loads.share(endpoint.row);
}

/** Threads that look at the same moment may go beyond by one each: it is the agent's wish, not a promise to clients. */
export function isFull({ row }: Limited, table: EndpointTable): boolean {
  const most = table.loads.maxInFlight(row);
  return most > 0 && table.inFlight(row) >= most;
}
