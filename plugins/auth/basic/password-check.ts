/**
 * Verifies passwords without being brought down by them. A right one is dear once and then remembered; wrong ones wait
 * in a short line for the few checks that may run at a time, and beyond it nobody is heard.
 *
 * What is remembered is that this password fits that hash, which never stops being true: whose hash it is now, and
 * whether it still is anybody's, is asked of the consumers at each request. So it outlives reloads, and revoking works
 * at once. It is remembered under a hash with a secret of this thread's own, never as itself.
 */
import { hash as digest, randomBytes } from 'node:crypto';
import {
  DEFAULT_COST,
  parsePasswordHash,
  verifyPassword,
  type PasswordHash,
} from '../../../src/credentials/password-hash.ts';

export type Checked = 'right' | 'wrong' | 'busy';

/** libuv has four threads for all of the process, and files and names are looked up on them too. */
const MOST_RUNNING = 2;
/** Some two seconds of waiting. */
const MOST_WAITING = 50;
const MOST_REMEMBERED = 10_000;

type Verify = (password: string, hash: PasswordHash, done: (is: boolean) => void) => void;

interface Check {
  readonly key: string;
  readonly password: string;
  /** As it is written; undefined: there is no such name. */
  readonly written: string | undefined;
}

export class PasswordCheck {
  readonly #verify: Verify;
  readonly #secret = randomBytes(32).toString('base64');
  /** In the order of their last use. */
  readonly #right = new Set<string>();
  /** Those that ask the same while it is checked hear the same. */
  readonly #asking = new Map<string, ((checked: Checked) => void)[]>();
  readonly #waiting: Check[] = [];
  #running = 0;
  /** An unknown name costs what the latest known one did. Nothing has this hash. */
  #decoy: PasswordHash = { cost: DEFAULT_COST, salt: Buffer.alloc(16), hash: Buffer.alloc(32) };

  constructor(verify: Verify = verifyPassword) {
    this.#verify = verify;
  }

  /**
   * @param written the hash as it stands in the configuration; undefined for an unknown name, whose password is wrong.
   * @returns at once where it is remembered or cannot be told; otherwise `done` is called later, once.
   */
  check(password: string, written: string | undefined, done: (checked: Checked) => void): Checked | undefined {
    // Not HMAC, which is ten times as dear: nobody can extend what nobody sees.
    const key = digest('sha256', `${this.#secret}\0${written ?? ''}\0${password}`, 'base64');
    if (this.#right.delete(key)) {
      this.#right.add(key);
      return 'right';
    }
    const asking = this.#asking.get(key);
    if (asking !== undefined) {
      asking.push(done);
      return undefined;
    }
    if (this.#running === MOST_RUNNING && this.#waiting.length === MOST_WAITING) return 'busy';
    this.#asking.set(key, [done]);
    this.#waiting.push({ key, password, written });
    this.#next();
    return undefined;
  }

  #next(): void {
    if (this.#running === MOST_RUNNING) return;
    const check = this.#waiting.shift();
    if (check === undefined) return;
    this.#running++;
    const { key, password, written } = check;
    const hash = written === undefined ? this.#decoy : this.#read(written);
    this.#verify(password, hash, (is) => this.#decide(key, is && written !== undefined));
  }

  #read(written: string): PasswordHash {
    const hash = parsePasswordHash(written);
    // The loader has refused it before.
    if (typeof hash === 'string') return this.#decoy;
    this.#decoy = { ...this.#decoy, cost: hash.cost };
    return hash;
  }

  #decide(key: string, isRight: boolean): void {
    this.#running--;
    if (isRight) this.#remember(key);
    const asking = this.#asking.get(key) ?? [];
    this.#asking.delete(key);
    this.#next();
    for (const done of asking) done(isRight ? 'right' : 'wrong');
  }

  #remember(key: string): void {
    if (this.#right.size >= MOST_REMEMBERED) {
      const [oldest] = this.#right;
      if (oldest !== undefined) this.#right.delete(oldest);
    }
    this.#right.add(key);
  }
}
