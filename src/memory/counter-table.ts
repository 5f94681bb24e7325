/**
 * What plugins count by route: one cell for each route row and each value of each declared counter, one region per
 * thread, as in the metric table.
 */

/** A Prometheus counter with the labels `route` and one of its own. */
export interface CounterSpec {
  /** `aya_…_total` */
  readonly name: string;
  readonly help: string;
  /** The name of the second label. */
  readonly label: string;
  /** All values it can have. */
  readonly values: readonly string[];
}

export interface Counter {
  increment(): void;
  add(amount: number): void;
}

export interface CounterTableBuffers {
  readonly threads: number;
  readonly routes: number;
  readonly shared: SharedArrayBuffer;
}

/** Regions start on pages of their own, so that no cache line has two writers. */
const PAGE_CELLS = 4096 / 8;

export class CounterTable {
  readonly buffers: CounterTableBuffers;
  readonly #columns: ReadonlyMap<string, number>;
  readonly #width: number;
  readonly #regions: readonly Float64Array[];

  static allocate(threads: number, routes: number, specs: readonly CounterSpec[]): CounterTable {
    const bytes = threads * regionCells(routes, columnsOf(specs).size) * 8;
    return new CounterTable({ threads, routes, shared: new SharedArrayBuffer(bytes) }, specs);
  }

  constructor(buffers: CounterTableBuffers, specs: readonly CounterSpec[]) {
    this.buffers = buffers;
    this.#columns = columnsOf(specs);
    this.#width = this.#columns.size;
    const cells = regionCells(buffers.routes, this.#width);
    this.#regions = Array.from(
      { length: buffers.threads },
      (_, thread) => new Float64Array(buffers.shared, thread * cells * 8, cells),
    );
  }

  /** @throws when no counter has that value: a bug of the plugin. */
  counter(thread: number, row: number, name: string, value: string): Counter {
    return new Cell(this.#regions[thread]!, this.#cell(row, name, value));
  }

  /** Over all threads. */
  read(row: number, name: string, value: string): number {
    const cell = this.#cell(row, name, value);
    return this.#regions.reduce((sum, region) => sum + region[cell]!, 0);
  }

  /** Empties a row before another route gets it. */
  resetRoute(row: number): void {
    for (const region of this.#regions) region.fill(0, row * this.#width, (row + 1) * this.#width);
  }

  #cell(row: number, name: string, value: string): number {
    const column = this.#columns.get(columnKey(name, value));
    if (column === undefined) throw new Error(`no counter '${name}' with the value '${value}' was declared`);
    return row * this.#width + column;
  }
}

class Cell implements Counter {
  readonly #cells: Float64Array;
  readonly #at: number;

  constructor(cells: Float64Array, at: number) {
    this.#cells = cells;
    this.#at = at;
  }

  increment(): void {
    this.#cells[this.#at]! += 1;
  }

  add(amount: number): void {
    this.#cells[this.#at]! += amount;
  }
}

function columnsOf(specs: readonly CounterSpec[]): Map<string, number> {
  const keys = specs.flatMap(({ name, values }) => values.map((value) => columnKey(name, value)));
  return new Map(keys.map((key, column) => [key, column]));
}

const columnKey = (name: string, value: string) => `${name} ${value}`;

function regionCells(routes: number, width: number): number {
  return Math.ceil((routes * width) / PAGE_CELLS) * PAGE_CELLS;
}
