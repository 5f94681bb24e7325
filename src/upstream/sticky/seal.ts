/**
 * A session as the value of a cookie: 36 bytes in base64url, signed. Ids of endpoints are made with the secret too, so
 * that a client learns neither an address nor whether two clients are at the same endpoint of two pools.
 *
 *     home 6 · current 6 · began 4 · seen 4 · signature 16 (HMAC-SHA-256, cut)
 */
import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import type { Session } from './sessions.ts';

const ID_BYTES = 6;
const CURRENT = ID_BYTES;
const BEGAN = 2 * ID_BYTES;
const SEEN = BEGAN + 4;
const SIGNATURE = SEEN + 4;
const BYTES = SIGNATURE + 16;
const FORM = new RegExp(`^[A-Za-z0-9_-]{${(BYTES / 3) * 4}}$`);

/** @returns undefined for what none of us has written. */
export function sealedBytes(value: string): Buffer | undefined {
  return FORM.test(value) ? Buffer.from(value, 'base64url') : undefined;
}

/** One secret, for the cookies of one pool alone. */
export class Seal {
  readonly #key: Buffer;

  /** @param scope what the cookies are good for: those of another scope are forged. */
  constructor(secret: string, scope: string) {
    this.#key = Buffer.from(hkdfSync('sha256', secret, '', `aya sticky ${scope}`, 32));
  }

  idOf(url: string): number {
    return createHmac('sha256', this.#key).update(`endpoint ${url}`).digest().readUIntBE(0, ID_BYTES);
  }

  write({ home, current, beganAt, seenAt }: Session): string {
    const bytes = Buffer.alloc(BYTES);
    bytes.writeUIntBE(home, 0, ID_BYTES);
    bytes.writeUIntBE(current, CURRENT, ID_BYTES);
    bytes.writeUInt32BE(beganAt, BEGAN);
    bytes.writeUInt32BE(seenAt, SEEN);
    this.#sign(bytes).copy(bytes, SIGNATURE);
    return bytes.toString('base64url');
  }

  /** @returns undefined when it was signed with another secret. */
  read(bytes: Buffer): Session | undefined {
    if (!timingSafeEqual(this.#sign(bytes), bytes.subarray(SIGNATURE))) return undefined;
    return {
      home: bytes.readUIntBE(0, ID_BYTES),
      current: bytes.readUIntBE(CURRENT, ID_BYTES),
      beganAt: bytes.readUInt32BE(BEGAN),
      seenAt: bytes.readUInt32BE(SEEN),
      isOutdated: false,
    };
  }

  #sign(bytes: Buffer): Buffer {
    const session = bytes.subarray(0, SIGNATURE);
    return createHmac('sha256', this.#key)
      .update(session)
      .digest()
      .subarray(0, BYTES - SIGNATURE);
  }
}
