/** Where the tables of sessions lie, for one data thread: the memory of the process, and the store of the fleet. */
import type { Logger } from 'pino';
import type { Clock, Random } from '../../clock.ts';
import type { SessionTable } from '../../memory/session-table.ts';
import type { RedisOptions } from '../../store/options.ts';
import { RedisSessions } from '../../store/redis-sessions.ts';
import type { SessionStore } from '../../store/store.ts';

export interface SessionHomeParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export class SessionHome {
  readonly table: SessionTable;
  readonly #options: RedisOptions | undefined;
  readonly #parts: SessionHomeParts;
  #store: RedisSessions | undefined;

  /** @param options absent: this gateway is alone. */
  constructor(table: SessionTable, options: RedisOptions | undefined, parts: SessionHomeParts) {
    this.table = table;
    this.#options = options;
    this.#parts = parts;
  }

  /** Connects with the first pool that has a table. Nobody waits for it. */
  store(): SessionStore | undefined {
    if (this.#options !== undefined) this.#store ??= new RedisSessions(this.#options, this.#parts);
    return this.#store;
  }

  async close(): Promise<void> {
    await this.#store?.close();
  }
}
