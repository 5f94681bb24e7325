/**
 * Follows the frames of a WebSocket (RFC 6455 §5.2) that passes by, to know when one is whole: only there may a frame of
 * the gateway's own be put in. It reads headers, counts payloads and keeps nothing else. Between the fragments of a
 * message is a border too: control frames may stand there (§5.4).
 */

const OPCODE = 0x0f;
const CLOSE = 8;
const IS_MASKED = 0x80;
const SHORT_LENGTH = 0x7f;
/** Values of the short length that say how many bytes hold the real one. */
const IN_TWO_BYTES = 126;
const IN_EIGHT_BYTES = 127;

export class FrameBorders {
  /** Of the frame under way: bytes of its header that have come, and how many it has. */
  #headerBytes = 0;
  #headerLength = 2;
  /** Where in the header its length ends. */
  #lengthEnd = 2;
  #payloadLeft = 0;
  #isClosing = false;

  /** Whether a frame may follow: all before are whole, and none said that it is the last (§5.5.1). */
  get admitsFrame(): boolean {
    return this.#headerBytes === 0 && this.#payloadLeft === 0 && !this.#isClosing;
  }

  pass(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.#headerBytes === 0 && this.#payloadLeft > 0) {
        const skipped = Math.min(this.#payloadLeft, bytes.length - at);
        this.#payloadLeft -= skipped;
        at += skipped;
      } else {
        this.#readHeader(bytes[at++]!);
      }
    }
  }

  #readHeader(byte: number): void {
    const at = this.#headerBytes++;
    if (at === 0) {
      this.#isClosing ||= (byte & OPCODE) === CLOSE;
    } else if (at === 1) {
      const short = byte & SHORT_LENGTH;
      const lengthBytes = short === IN_TWO_BYTES ? 2 : short === IN_EIGHT_BYTES ? 8 : 0;
      this.#payloadLeft = lengthBytes === 0 ? short : 0;
      this.#lengthEnd = 2 + lengthBytes;
      this.#headerLength = this.#lengthEnd + ((byte & IS_MASKED) === 0 ? 0 : 4);
    } else if (at < this.#lengthEnd) {
      // Beyond 2^53 it is not exact, and will not be reached either.
      this.#payloadLeft = this.#payloadLeft * 256 + byte;
    }
    if (at > 0 && this.#headerBytes === this.#headerLength) this.#headerBytes = 0;
  }
}
