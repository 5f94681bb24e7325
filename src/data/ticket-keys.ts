/**
 * What TLS session tickets are sealed with. The control plane gives all threads the same secret, so that any of them can
 * read what another has sealed, and a new one from time to time, so that what was recorded cannot be read for ever. Tickets of
 * the secret before are still read, or every client that comes back would pay for a whole handshake at once.
 */
import { hkdfSync, randomBytes } from 'node:crypto';
import type { Server } from 'node:tls';

/** As OpenSSL wants them. */
const NAME_BYTES = 16;
const KEY_BYTES = 16;
const IV_BYTES = 16;

const NO_KEY = Buffer.alloc(KEY_BYTES);
/** What the answer to OpenSSL begins with. */
const VERDICT = { unknown: 0, good: 1, renew: 2 } as const;

interface TicketKey {
  readonly name: Buffer;
  readonly hmac: Buffer;
  readonly aes: Buffer;
}

/** Of one thread. The first secret seals, all are read. */
export class TicketSecrets {
  #secrets: readonly Uint8Array[];

  constructor(secrets: readonly Uint8Array[]) {
    this.#secrets = secrets;
  }

  /** Compared by identity: another list is another set of secrets. */
  get all(): readonly Uint8Array[] {
    return this.#secrets;
  }

  replace(secrets: readonly Uint8Array[]): void {
    this.#secrets = secrets;
  }
}

/**
 * The server's tickets from now on, until its certificates are set anew. A public way in would take one key alone and
 * forget the one before (`setTicketKeys`); this is the one that Node's own tests of resumption use.
 * @param scope what a session is good for: tickets of another scope are not even readable.
 */
export function sealTickets(server: Server, scope: string, secrets: TicketSecrets): void {
  let derivedFrom: readonly Uint8Array[] | undefined;
  let keys: readonly TicketKey[] = [];
  const context = (server as ServerInside)._sharedCreds.context;
  context.enableTicketKeyCallback();
  context.onticketkeycallback = (name, _iv, isSealing) => {
    if (derivedFrom !== secrets.all) {
      derivedFrom = secrets.all;
      keys = derivedFrom.map((secret) => deriveKey(secret, scope));
    }
    const [current] = keys;
    if (isSealing) return [VERDICT.good, current!.hmac, current!.aes, current!.name, randomBytes(IV_BYTES)];
    const key = keys.find((each) => each.name.equals(name));
    if (key === undefined) return [VERDICT.unknown, NO_KEY, NO_KEY];
    return [key === current ? VERDICT.good : VERDICT.renew, key.hmac, key.aes];
  };
}

function deriveKey(secret: Uint8Array, scope: string): TicketKey {
  const bytes = Buffer.from(hkdfSync('sha256', secret, '', scope, NAME_BYTES + 2 * KEY_BYTES));
  return {
    name: bytes.subarray(0, NAME_BYTES),
    hmac: bytes.subarray(NAME_BYTES, NAME_BYTES + KEY_BYTES),
    aes: bytes.subarray(NAME_BYTES + KEY_BYTES),
  };
}

type Sealing = readonly [verdict: number, hmac: Buffer, aes: Buffer, name: Buffer, iv: Buffer];
type Opening = readonly [verdict: number, hmac: Buffer, aes: Buffer];

/** Sessions belong to the context that the server was given first, whichever certificate is shown. */
interface ServerInside extends Server {
  readonly _sharedCreds: {
    readonly context: {
      enableTicketKeyCallback(): void;
      onticketkeycallback(name: Buffer, iv: Buffer, isSealing: boolean): Sealing | Opening;
    };
  };
}
