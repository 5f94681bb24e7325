/**
 * Where accounts and certificates outlive the process: files that nobody else may read, and with a Redis as store there
 * too, for the whole fleet. Redis is then what counts, and the files are what is shown while it is away.
 */
import { randomUUID } from 'node:crypto';
import { chmod, mkdir, open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { RedisAcme } from '../../store/redis-acme.ts';
import type { ControlLog } from '../log.ts';

export class AcmeStorage {
  readonly #dir: string;
  readonly #fleet: RedisAcme | undefined;
  readonly #log: ControlLog;

  constructor(dir: string, fleet: RedisAcme | undefined, log: ControlLog) {
    this.#dir = dir;
    this.#fleet = fleet;
    this.#log = log;
  }

  /**
   * What `parse` makes of the entry; of several homes, the first that holds one that is whole. What is not is set aside.
   * @throws when it cannot be read, though it may be there.
   */
  async read<Entry>(
    name: string,
    parse: (value: Readonly<Record<string, unknown>>) => Entry,
  ): Promise<Entry | undefined> {
    const shared = this.#fleet?.isUp === true ? await this.#fleet.read(name) : undefined;
    const fromFleet = shared === undefined ? undefined : this.#parsed(`'${name}' in the store`, shared, parse);
    if (fromFleet !== undefined) return fromFleet;
    const file = join(this.#dir, `${name}.json`);
    const text = await readFile(file, 'utf8').catch(ignoreMissing);
    if (text === undefined) return undefined;
    const own = this.#parsed(file, text, parse);
    if (own === undefined) await rename(file, `${file}.broken`).catch(() => {});
    // A store that has forgotten everything learns it again.
    else if (this.#fleet?.isUp === true) await this.#fleet.write(name, text);
    return own;
  }

  /** @throws when it will not be there after a restart. */
  async write(name: string, entry: object): Promise<void> {
    const text = JSON.stringify(entry);
    if (this.#fleet === undefined) return this.#writeFile(name, text);
    // The files first: they have it then even where the store has just gone away.
    await this.copy(name, entry);
    await this.#fleet.write(name, text);
  }

  /** What another gateway has written at the same moment, or this. @throws as `write`. */
  async writeFirst<Entry>(
    name: string,
    entry: object,
    parse: (value: Readonly<Record<string, unknown>>) => Entry,
  ): Promise<Entry> {
    const there = await this.#fleet?.writeFirst(name, JSON.stringify(entry));
    const other = there === undefined ? undefined : this.#parsed(`'${name}' in the store`, there, parse);
    if (other === undefined) await this.write(name, entry);
    else await this.copy(name, JSON.parse(there!) as object);
    return other ?? parse(entry as Readonly<Record<string, unknown>>);
  }

  /** Only to the files, where the fleet has it. */
  async copy(name: string, entry: object): Promise<void> {
    try {
      await this.#writeFile(name, JSON.stringify(entry));
    } catch (error) {
      const reason = (error as Error).message;
      this.#log.warn({ event: 'acme_storage', reason }, `'${name}' is in the store alone: ${reason}`);
    }
  }

  /** Whole or not at all. */
  async #writeFile(name: string, text: string): Promise<void> {
    await mkdir(this.#dir, { recursive: true, mode: 0o700 });
    const file = join(this.#dir, `${name}.json`);
    const next = `${file}.${randomUUID()}`;
    const handle = await open(next, 'wx', 0o600);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await chmod(next, 0o600);
    await rename(next, file);
  }

  #parsed<Entry>(
    where: string,
    text: string,
    parse: (value: Readonly<Record<string, unknown>>) => Entry,
  ): Entry | undefined {
    try {
      return parse(JSON.parse(text) as Readonly<Record<string, unknown>>);
    } catch (error) {
      // Of JSON's own complaint nothing: it repeats what it has read, and that may be half a key.
      const reason = error instanceof SyntaxError ? 'it is not whole' : (error as Error).message;
      this.#log.warn(
        { event: 'acme_entry_broken', where, reason },
        `${where} is of no use and is made anew: ${reason}`,
      );
      return undefined;
    }
  }
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT') return undefined;
  throw error;
}
