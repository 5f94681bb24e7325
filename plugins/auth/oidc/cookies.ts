/**
 * The cookies of a session. A browser keeps 4 KiB in one, and a session with its tokens may be larger: it is cut into
 * parts, the first of which says how many there are. All parts of an answer arrive together or not at all.
 */
import type { Exchange } from '../../../src/data/exchange.ts';
import { parseCookies } from '../../../src/data/match/request-view.ts';
import type { CookieOptions } from './schema.ts';

/** Of a part; with its name and attributes it stays below 4096 (RFC 6265 §6.1). */
const PART_BYTES = 3800;
/** A head of 16 KiB, as listeners take by default, has room for them and for the rest. */
const MOST_PARTS = 3;
/** Logins that one browser may have under way, in as many tabs. */
const MOST_LOGINS = 5;

/** `2.eyJhbG…` */
const FIRST_PART = /^([1-9])\.([\w.-]+)$/;

type Asked = Pick<Exchange, 'scheme' | 'cookie' | 'header'>;

export class Cookies {
  readonly #options: CookieOptions;
  readonly #origin: string | undefined;

  /** @param origin what browsers use, where it is not what they ask. */
  constructor(options: CookieOptions, origin: string | undefined) {
    this.#options = options;
    this.#origin = origin;
  }

  /** Whether there is a session, good or bad. */
  has(exchange: Asked): boolean {
    return exchange.cookie(this.#name(exchange)) !== undefined;
  }

  /** What it says; undefined when parts are missing. */
  read(exchange: Asked): string | undefined {
    const name = this.#name(exchange);
    const [, count = '', first = ''] = FIRST_PART.exec(exchange.cookie(name) ?? '') ?? [];
    if (count === '' || Number(count) > MOST_PARTS) return undefined;
    let text = first;
    for (let at = 1; at < Number(count); at++) {
      const part = exchange.cookie(`${name}.${at}`);
      if (part === undefined) return undefined;
      text += part;
    }
    return text;
  }

  /** @returns values of Set-Cookie, undefined when no browser would keep it. Parts of a larger one before it are taken back. */
  write(exchange: Asked, text: string, forMs: number): string[] | undefined {
    const count = Math.ceil(text.length / PART_BYTES);
    if (count > MOST_PARTS) return undefined;
    const name = this.#name(exchange);
    const written = Array.from({ length: count }, (_, at) => {
      const part = text.slice(at * PART_BYTES, (at + 1) * PART_BYTES);
      return this.#cookie(exchange, partName(name, at), at === 0 ? `${count}.${part}` : part, forMs);
    });
    return [...written, ...this.#clearParts(exchange, count)];
  }

  clear(exchange: Asked): string[] {
    return this.#clearParts(exchange, 0);
  }

  /** The login that is under way with this state. */
  readLogin(exchange: Asked, state: string): string | undefined {
    return exchange.cookie(this.#loginName(exchange, state));
  }

  /** @returns values of Set-Cookie: of too many logins the oldest are forgotten (RFC 6265 §5.4: they come first). */
  writeLogin(exchange: Asked, state: string, text: string, forMs: number): string[] {
    const started = `${this.#name(exchange)}.login.`;
    const others = namesOf(exchange).filter((name) => name.startsWith(started));
    const forgotten = others.slice(0, Math.max(0, others.length - MOST_LOGINS + 1));
    return [
      this.#cookie(exchange, this.#loginName(exchange, state), text, forMs),
      ...forgotten.map((name) => this.#cookie(exchange, name, '', 0)),
    ];
  }

  clearLogin(exchange: Asked, state: string): string[] {
    return [this.#cookie(exchange, this.#loginName(exchange, state), '', 0)];
  }

  #clearParts(exchange: Asked, from: number): string[] {
    const name = this.#name(exchange);
    const names = Array.from({ length: MOST_PARTS }, (_, at) => partName(name, at)).slice(from);
    return names.flatMap((each) => (exchange.cookie(each) === undefined ? [] : this.#cookie(exchange, each, '', 0)));
  }

  /** RFC 6265bis §4.1.3: browsers hold to what the prefix promises, whoever tries to set such a cookie. */
  #name(exchange: Asked): string {
    const { name, domain } = this.#options;
    if (!this.#isSecure(exchange)) return name;
    return domain === undefined ? `__Host-${name}` : `__Secure-${name}`;
  }

  /** The start of the state is enough to tell logins apart; which it is says what is sealed in it. */
  #loginName(exchange: Asked, state: string): string {
    return `${this.#name(exchange)}.login.${state.slice(0, 12)}`;
  }

  #cookie(exchange: Asked, name: string, value: string, forMs: number): string {
    const { domain, sameSite } = this.#options;
    return (
      `${name}=${value}; Path=/; Max-Age=${Math.ceil(forMs / 1000)}; HttpOnly; ` +
      `SameSite=${sameSite === 'lax' ? 'Lax' : 'None'}` +
      (domain === undefined ? '' : `; Domain=${domain}`) +
      (this.#isSecure(exchange) ? '; Secure' : '')
    );
  }

  #isSecure({ scheme }: Asked): boolean {
    return this.#origin === undefined ? scheme === 'https' : this.#origin.startsWith('https:');
  }
}

const partName = (name: string, at: number): string => (at === 0 ? name : `${name}.${at}`);

const namesOf = (exchange: Asked): string[] => [...parseCookies(exchange.header('cookie') ?? '').keys()];
