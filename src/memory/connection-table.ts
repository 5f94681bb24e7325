/**
 * Client connections over all threads, in total and by address, so that the limits are the process's. Each thread writes
 * its own cells and reads everybody's. Addresses share 65 536 cells by hash: two that meet are counted together, which a
 * limit of hundreds forgives.
 */
const CELLS = 65_536;
/** Per thread: the total, then the cells. */
const COLUMN = CELLS + 1;

export class ConnectionTable {
  readonly shared: SharedArrayBuffer;
  readonly #cells: Int32Array;
  readonly #threads: number;

  static allocate(threads: number): ConnectionTable {
    return new ConnectionTable(new SharedArrayBuffer(threads * COLUMN * 4), threads);
  }

  constructor(shared: SharedArrayBuffer, threads: number) {
    this.shared = shared;
    this.#threads = threads;
    this.#cells = new Int32Array(shared);
  }

  /** A thread that starts has no connections, whatever the one before it left behind. */
  resetThread(thread: number): void {
    this.#cells.fill(0, thread * COLUMN, (thread + 1) * COLUMN);
  }

  opened(thread: number, address: string): void {
    this.#add(thread, address, 1);
  }

  closed(thread: number, address: string): void {
    this.#add(thread, address, -1);
  }

  get total(): number {
    return this.#sum(0);
  }

  ofAddress(address: string): number {
    return this.#sum(1 + cellOf(address));
  }

  #add(thread: number, address: string, change: number): void {
    const column = thread * COLUMN;
    this.#cells[column]! += change;
    this.#cells[column + 1 + cellOf(address)]! += change;
  }

  #sum(cell: number): number {
    let sum = 0;
    for (let thread = 0; thread < this.#threads; thread++) sum += this.#cells[thread * COLUMN + cell]!;
    return sum;
  }
}

/** FNV-1a, folded to 16 bits. */
function cellOf(address: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < address.length; at++) hash = Math.imul(hash ^ address.charCodeAt(at), 0x01000193);
  return (hash ^ (hash >>> 16)) & (CELLS - 1);
}
