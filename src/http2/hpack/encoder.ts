/**
 * Writes the field sections of one connection (RFC 7541). A field whose value stays the same from answer to answer enters the table and
 * costs a byte from then on; one that changes does not, or it would push the others out. Strings go as they are: what Huffman would
 * save of the few that are left costs more time than all else here.
 */
import { HOP_BY_HOP } from '../../hop-by-hop.ts';
import { DEFAULT_TABLE_BYTES } from '../constants.ts';
import type { Output } from '../output.ts';
import { ENTRY_OVERHEAD, FIRST_DYNAMIC, STATIC_FIELDS } from './static-table.ts';

const NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;

const BAD_VALUE = /[^\t\x20-\x7e\x80-\xff]/;

/** Another value in nearly each answer. */
const VARYING: ReadonlySet<string> = new Set([
  'age',
  'content-length',
  'content-location',
  'content-range',
  'date',
  'etag',
  'expires',
  'last-modified',
  'location',
]);
/** Never in a table, also not in that of a proxy behind (§7.1.3). */
const SECRET: ReadonlySet<string> = new Set(['authorization', 'set-cookie']);

/** So often a value may have changed before the field counts as varying. */
const MOST_CHANGES = 4;
/** A larger field would push too many others out. */
const LARGEST_SHARE = DEFAULT_TABLE_BYTES / 4;

/** As many fields as the table holds; a power of two. */
const SLOTS = DEFAULT_TABLE_BYTES / ENTRY_OVERHEAD;
/** Names whose value a connection keeps: those of the table, and some that were pushed out. */
const MOST_REMEMBERED = 2 * SLOTS;
/** Beyond this a loop over the characters costs more than the call. */
const SHORT_TEXT = 24;
/** Spellings that services use are few; those of a broken one may be many. */
const MOST_NAMES = 2048;

const STATIC_STATUS: ReadonlyMap<number, number> = new Map(
  STATIC_FIELDS.flatMap(([name, value], at) => (name === ':status' ? [[Number(value), at + 1] as const] : [])),
);
const ANY_STATUS = STATIC_FIELDS.findIndex(([name]) => name === ':status') + 1;

/** What a name means to every connection of this thread. */
class Name {
  readonly text: string;
  /** In the static table; 0: not there. */
  readonly index: number;
  readonly isForHttp1: boolean;
  readonly isSecret: boolean;
  readonly isVarying: boolean;

  constructor(spelling: string) {
    this.text = spelling.toLowerCase();
    if (!NAME.test(this.text)) throw new TypeError(`no name of a header field: ${JSON.stringify(spelling)}`);
    this.index = STATIC_FIELDS.findIndex(([name]) => name === this.text) + 1;
    this.isForHttp1 = HOP_BY_HOP.has(this.text);
    this.isSecret = SECRET.has(this.text);
    this.isVarying = VARYING.has(this.text);
  }
}

const names = new Map<string, Name>();

function nameOf(spelling: string): Name {
  const known = names.get(spelling);
  if (known !== undefined) return known;
  const name = new Name(spelling);
  if (names.size === MOST_NAMES) names.clear();
  names.set(spelling, name);
  return name;
}

/** The latest value of a name on a connection. */
interface Sent {
  value: string;
  /** Its number among all that have entered the table. */
  at: number;
  changes: number;
}

/** The block that is being written: one at a time in a thread, and used up before the next begins. */
let block = Buffer.allocUnsafeSlow(16 * 1024);
let length = 0;

export class HpackEncoder {
  #sent: Map<Name, Sent> | undefined;
  /** Of those in the table, by number. */
  #sizes: Uint16Array | undefined;
  #entered = 0;
  #oldest = 0;
  #bytes = 0;
  #mostBytes = DEFAULT_TABLE_BYTES;
  /** The smallest that the table has been allowed since the last block; undefined: as it was. */
  #smallest: number | undefined;
  #isUnfinished = false;

  /** The client's SETTINGS_HEADER_TABLE_SIZE. */
  resize(bytes: number): void {
    const most = Math.min(bytes, DEFAULT_TABLE_BYTES);
    if (most === this.#mostBytes) return;
    this.#smallest = Math.min(this.#smallest ?? most, most);
    this.#mostBytes = most;
    this.#evict(most);
  }

  /** Begins a block, which is there to be copied once all fields were added. */
  begin(): void {
    length = 0;
    // Of a block that was given up half-way, what entered our table never entered the client's.
    if (this.#isUnfinished) this.#forget();
    this.#isUnfinished = true;
    if (this.#smallest === undefined) return;
    // §4.2: the smallest, and then the one that holds.
    if (this.#smallest < this.#mostBytes) putInteger(0x20, 5, this.#smallest);
    putInteger(0x20, 5, this.#mostBytes);
    this.#smallest = undefined;
  }

  /** @returns the length of the block, which will be sent. */
  finish(): number {
    this.#isUnfinished = false;
    return length;
  }

  addStatus(status: number): void {
    const index = STATIC_STATUS.get(status);
    if (index !== undefined) return putInteger(0x80, 7, index);
    putInteger(0, 4, ANY_STATUS);
    putText(String(status));
  }

  /**
   * Fields that are for one connection of HTTP/1.1 alone are left out (RFC 9113 §8.2.2).
   * @throws TypeError where it is no field.
   */
  add(spelling: string, value: string): void {
    const name = nameOf(spelling);
    if (name.isForHttp1) return;
    const sent = this.#sent?.get(name);
    const isThere = sent !== undefined && sent.at >= this.#oldest;
    if (isThere && sent.value === value) return putInteger(0x80, 7, this.#indexOf(sent));
    if (BAD_VALUE.test(value)) throw new TypeError(`no value of ${name.text}: ${JSON.stringify(value)}`);
    const index = name.index > 0 ? name.index : isThere ? this.#indexOf(sent) : 0;
    if (name.isSecret) putInteger(0x10, 4, index);
    else if (this.#remembers(name, sent, value)) putInteger(0x40, 6, index);
    else putInteger(0, 4, index);
    if (index === 0) putText(name.text);
    putText(value);
  }

  /** Both sides begin with an empty table. */
  #forget(): void {
    this.#evict(0);
    this.#smallest = 0;
  }

  #indexOf({ at }: Sent): number {
    return FIRST_DYNAMIC + this.#entered - 1 - at;
  }

  /** @returns whether the field enters the table, which is then noted. The index of its name must be known by then. */
  #remembers(name: Name, sent: Sent | undefined, value: string): boolean {
    if (name.isVarying) return false;
    const bytes = name.text.length + value.length + ENTRY_OVERHEAD;
    if (bytes > LARGEST_SHARE || bytes > this.#mostBytes) return false;
    if (sent !== undefined && sent.value !== value && ++sent.changes > MOST_CHANGES) return false;
    this.#evict(this.#mostBytes - bytes);
    const at = this.#entered++;
    (this.#sizes ??= new Uint16Array(SLOTS))[at & (SLOTS - 1)] = bytes;
    this.#bytes += bytes;
    if (sent === undefined) (this.#sent ??= new Map<Name, Sent>()).set(name, { value, at, changes: 0 });
    else [sent.value, sent.at] = [value, at];
    return true;
  }

  #evict(room: number): void {
    while (this.#oldest < this.#entered && this.#bytes > room)
      this.#bytes -= this.#sizes![this.#oldest++ & (SLOTS - 1)]!;
    if (this.#sent !== undefined && this.#sent.size > MOST_REMEMBERED) this.#forgetEvicted();
  }

  /** Names that a service makes up anew each time must not pile up. */
  #forgetEvicted(): void {
    for (const [name, { at }] of this.#sent!) if (at < this.#oldest) this.#sent!.delete(name);
  }
}

/** Of the block that was written last. */
export function copyBlock(into: Output, from: number, bytes: number): void {
  into.copy(block, from, bytes);
}

function putInteger(kind: number, prefixBits: number, value: number): void {
  if (length + 8 > block.length) grow(8);
  const most = (1 << prefixBits) - 1;
  if (value < most) {
    block[length++] = kind | value;
    return;
  }
  block[length++] = kind | most;
  for (value -= most; value >= 0x80; value >>>= 7) block[length++] = (value & 0x7f) | 0x80;
  block[length++] = value;
}

function putText(text: string): void {
  putInteger(0, 7, text.length);
  if (length + text.length > block.length) grow(text.length);
  if (text.length > SHORT_TEXT) {
    length += block.write(text, length, 'latin1');
    return;
  }
  for (let at = 0; at < text.length; at++) block[length++] = text.charCodeAt(at);
}

function grow(bytes: number): void {
  const larger = Buffer.allocUnsafeSlow(2 * (block.length + bytes));
  block.copy(larger, 0, 0, length);
  block = larger;
}
