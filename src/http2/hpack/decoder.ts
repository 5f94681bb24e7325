/** Reads the field sections of one connection (RFC 7541). Names and values that came before are handed out as the same strings. */
import { ConnectionError, DEFAULT_TABLE_BYTES, ErrorCode } from '../constants.ts';
import { huffmanDecode } from './huffman.ts';
import { ENTRY_OVERHEAD, FIRST_DYNAMIC, STATIC_FIELDS } from './static-table.ts';

/** RFC 9113 §8.2.1, narrowed to tokens, since upstreams may speak HTTP/1.1; pseudo fields are told from others elsewhere. */
const NAME = /^:?[!#$%&'*+\-.^_`|~0-9a-z]+$/;
/** A control byte, or white space around it (§8.2.1). */

const BAD_VALUE = /[\0-\x08\n-\x1f\x7f]|^[\t ]|[\t ]$/;

/** Our SETTINGS_HEADER_TABLE_SIZE is the default: nobody has to be told, or to wait until it is known. */
const MOST_BYTES = DEFAULT_TABLE_BYTES;
/** As many fields as fit; a power of two. */
const SLOTS = MOST_BYTES / ENTRY_OVERHEAD;

/** No length or index that is meant seriously needs more. */
const MOST_INTEGER = 2 ** 28;

/** A string as long as a block may be; Huffman makes 8/5 of it. Text in it is read before the next is written. */
const scratch = Buffer.allocUnsafeSlow(128 * 1024);

class Field {
  readonly name: string;
  readonly value: string;
  readonly isGood: boolean;

  constructor(name: string, value: string, isGood: boolean) {
    this.name = name;
    this.value = value;
    this.isGood = isGood;
  }

  /** RFC 7541 §4.1 */
  get bytes(): number {
    return this.name.length + this.value.length + ENTRY_OVERHEAD;
  }
}

const STATIC: readonly Field[] = STATIC_FIELDS.map(([name, value]) => new Field(name, value, true));

/** What a block says. */
export class FieldSection {
  /** Flat: name, value, name, value … */
  readonly fields: string[] = [];
  /** A name or a value holds what none may (RFC 9113 §8.2.1). */
  isMalformed = false;
  /** Counted as for SETTINGS_MAX_HEADER_LIST_SIZE. Of one that is larger than allowed, not all fields are kept. */
  bytes = 0;
}

export class HpackDecoder {
  /** A ring: the newest is at `#newest`. */
  #table: (Field | undefined)[] = [];
  #newest = 0;
  #count = 0;
  #bytes = 0;
  #mostBytes = MOST_BYTES;

  #block!: Buffer;
  #at = 0;
  #end = 0;

  /**
   * @param mostBytes of the section, beyond which fields are read and not kept.
   * @throws ConnectionError: no later block could be read either.
   */
  decode(block: Buffer, start: number, end: number, mostBytes: number): FieldSection {
    this.#block = block;
    this.#at = start;
    this.#end = end;
    const section = new FieldSection();
    while (this.#at < end && (block[this.#at]! & 0xe0) === 0x20) this.#resize(this.#integer(5));
    while (this.#at < end) {
      const field = this.#next(block[this.#at]!);
      section.bytes += field.bytes;
      if (!field.isGood) section.isMalformed = true;
      if (section.bytes <= mostBytes) section.fields.push(field.name, field.value);
    }
    return section;
  }

  #next(first: number): Field {
    if ((first & 0x80) !== 0) return this.#field(this.#integer(7));
    if ((first & 0xc0) === 0x40) return this.#remember(this.#literal(6));
    // Only before the first field.
    if ((first & 0xe0) === 0x20) throw unreadable('a table size among fields');
    return this.#literal(4);
  }

  #literal(prefixBits: number): Field {
    const index = this.#integer(prefixBits);
    if (index > 0) {
      // The name was looked at when it came.
      const { name, isGood } = this.#field(index);
      const value = this.#string();
      return new Field(name, value, isGood && !BAD_VALUE.test(value));
    }
    const name = this.#string();
    const value = this.#string();
    return new Field(name, value, NAME.test(name) && !BAD_VALUE.test(value));
  }

  #field(index: number): Field {
    if (index < FIRST_DYNAMIC) {
      const field = STATIC[index - 1];
      if (field === undefined) throw unreadable('index 0');
      return field;
    }
    const age = index - FIRST_DYNAMIC;
    if (age >= this.#count) throw unreadable('an index beyond the table');
    return this.#table[(this.#newest - age) & (SLOTS - 1)]!;
  }

  #remember(field: Field): Field {
    const { bytes } = field;
    this.#evict(this.#mostBytes - bytes);
    // RFC 7541 §4.4: one that is too large for it leaves the table empty.
    if (bytes > this.#mostBytes) return field;
    this.#newest = (this.#newest + 1) & (SLOTS - 1);
    this.#table[this.#newest] = field;
    this.#count++;
    this.#bytes += bytes;
    return field;
  }

  #resize(mostBytes: number): void {
    if (mostBytes > MOST_BYTES) throw unreadable('a table larger than allowed');
    this.#mostBytes = mostBytes;
    this.#evict(mostBytes);
  }

  #evict(room: number): void {
    while (this.#count > 0 && this.#bytes > room) {
      const oldest = (this.#newest - --this.#count) & (SLOTS - 1);
      this.#bytes -= this.#table[oldest]!.bytes;
      this.#table[oldest] = undefined;
    }
  }

  /** §5.1 */
  #integer(prefixBits: number): number {
    const most = (1 << prefixBits) - 1;
    let value = this.#block[this.#at++]! & most;
    if (value < most) return value;
    for (let shift = 0; ; shift += 7) {
      if (this.#at >= this.#end) throw unreadable('a number that does not end');
      const byte = this.#block[this.#at++]!;
      value += (byte & 0x7f) * 2 ** shift;
      if (value > MOST_INTEGER || shift > 28) throw unreadable('a number beyond all bounds');
      if (byte < 0x80) return value;
    }
  }

  /** §5.2 */
  #string(): string {
    if (this.#at >= this.#end) throw unreadable('a field that does not end');
    const isHuffman = this.#block[this.#at]! >= 0x80;
    const length = this.#integer(7);
    const start = this.#at;
    const end = start + length;
    if (end > this.#end) throw unreadable('a string longer than its block');
    this.#at = end;
    if (!isHuffman) return this.#block.toString('latin1', start, end);
    const into = length * 2 <= scratch.length ? scratch : Buffer.allocUnsafe(length * 2);
    const decoded = huffmanDecode(this.#block, start, end, into);
    if (decoded < 0) throw unreadable('a string that is no Huffman code');
    return into.toString('latin1', 0, decoded);
  }
}

function unreadable(what: string): ConnectionError {
  return new ConnectionError(ErrorCode.compressionError, what);
}
