/**
 * The two messages of grpc.health.v1, a field each, as protobuf in the frame of gRPC: a byte for compression and four for
 * the length. A library for more than that would be larger than all of it.
 */

/** By their number. */
export const SERVING_STATUSES = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'] as const;

const FRAME_HEAD = 5;
const UNCOMPRESSED = 0;
/** Wire types of protobuf, and how many bytes those of fixed length have. */
const VARINT = 0;
const DELIMITED = 2;
const FIXED: Readonly<Record<number, number>> = { 1: 8, 5: 4 };

/** `HealthCheckRequest { string service = 1 }`. @param service empty: the whole server. */
export function encodeHealthRequest(service: string): Buffer {
  const name = Buffer.from(service, 'utf8');
  // proto3: a field of its default value is not written.
  const message = name.length === 0 ? name : Buffer.concat([tag(1, DELIMITED), varint(name.length), name]);
  const head = Buffer.alloc(FRAME_HEAD);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** `HealthCheckResponse { ServingStatus status = 1 }`. @returns the name, or undefined when the bytes are not one such message. */
export function decodeHealthResponse(bytes: Buffer): string | undefined {
  if (bytes.length < FRAME_HEAD || bytes[0] !== UNCOMPRESSED) return undefined;
  if (bytes.readUInt32BE(1) !== bytes.length - FRAME_HEAD) return undefined;
  const reader = new Reader(bytes.subarray(FRAME_HEAD));
  let status = 0;
  while (!reader.atEnd) {
    const key = reader.varint();
    if (key === undefined || key >> 3 === 0) return undefined;
    if (key === (1 << 3) + VARINT) {
      const value = reader.varint();
      if (value === undefined) return undefined;
      status = value;
    } else if (!reader.skip(key & 7)) return undefined;
  }
  return SERVING_STATUSES[status] ?? `status ${status}`;
}

/** Every step says whether the bytes were enough. */
class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** Up to 32 bits: longer ones are none of these messages'. */
  varint(): number | undefined {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) return undefined;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value <= 0x7fffffff ? value : undefined;
    }
    return undefined;
  }

  /** A field that this version of the message does not know. */
  skip(wireType: number): boolean {
    if (wireType === VARINT) return this.varint() !== undefined;
    const length = wireType === DELIMITED ? this.varint() : FIXED[wireType];
    if (length === undefined || this.#at + length > this.#bytes.length) return false;
    this.#at += length;
    return true;
  }
}

const tag = (field: number, wireType: number) => varint((field << 3) + wireType);

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return Buffer.from([...bytes, rest]);
}
