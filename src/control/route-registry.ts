/**
 * Which row of the metric table counts for which route. A route keeps its row, and with it its counters, for as long as
 * it keeps its name. Cardinality is bounded: beyond `gateway.metrics.maxRoutes` routes share one row.
 */
import type { Clock } from '../clock.ts';
import type { RouteConfig } from '../config/schema.ts';
import { RowAllocator } from './row-allocator.ts';

/** Routes beyond the bound. */
export const OTHER_ROUTES = { row: 0, name: '__other__' } as const;
/** Requests that no route matched. */
export const NO_ROUTE = { row: 1, name: '__none__' } as const;

const RESERVED = 2;

export class RouteRegistry {
  readonly #rows: RowAllocator;
  readonly #names = new Map<number, string>([
    [OTHER_ROUTES.row, OTHER_ROUTES.name],
    [NO_ROUTE.row, NO_ROUTE.name],
  ]);
  readonly #reset: (row: number) => void;

  /** @param reset empties the counters of a row before another route gets it. */
  constructor(maxRoutes: number, clock: Clock, reset: (row: number) => void) {
    this.#rows = new RowAllocator(RouteRegistry.rowsFor(maxRoutes), clock, RESERVED);
    this.#reset = reset;
  }

  /** How many rows the table needs. */
  static rowsFor(maxRoutes: number): number {
    return maxRoutes + RESERVED;
  }

  /** Rows of all routes of a generation, by name. */
  hold(generation: number, routes: readonly RouteConfig[]): ReadonlyMap<string, number> {
    return new Map(routes.map(({ name }) => [name, this.#hold(generation, name)]));
  }

  /** No thread serves from the generation any more. */
  release(generation: number): void {
    this.#rows.release(generation, (row) => this.#names.delete(row));
  }

  /** The label of each row in use. */
  get names(): ReadonlyMap<number, string> {
    return this.#names;
  }

  #hold(generation: number, name: string): number {
    const held = this.#rows.hold(generation, name);
    if (held === undefined) return OTHER_ROUTES.row;
    if (held.isNew) {
      this.#reset(held.row);
      this.#names.set(held.row, name);
    }
    return held.row;
  }
}
