/** A client as an exchange sees it (src/data/client-message.ts): what it asks for, and what it is told. */
import { Readable } from 'node:stream';
import type { Socket } from 'node:net';
import type { ClientConnection } from '../../src/data/client-connection.ts';
import type { ClientMessage, ClientRequest, ClientResponse, Transport } from '../../src/data/client-message.ts';
import type { Exchange } from '../../src/data/exchange.ts';
import { emptyHead, type RequestHead } from '../../src/data/head.ts';
import type { Destination } from '../../src/data/intake.ts';

export interface Visit {
  /** Of so many clients. */
  readonly client: number;
  /** What it asks for. */
  readonly item: number;
  readonly method: string;
  /** How much work it is for a server; 1 on average. */
  readonly demand: number;
}

const NO_BODY = Readable.from([]);
const HOST = 'api.example.com';

class VirtualRequest implements ClientRequest {
  readonly httpVersion = '1.1';
  readonly rawHeaders: string[] = [];
  readonly headers = {};
  readonly complete = true;
  readonly socket = undefined as unknown as Socket;
  readonly method: string;
  readonly demand: number;

  constructor({ method, demand }: Visit) {
    this.method = method;
    this.demand = demand;
  }
}

/** What its request costs a server. */
export function demandOf({ req }: Exchange): number {
  return (req as VirtualRequest).demand;
}

/** Takes all at once, and says when it has it, or has left. */
export class VirtualAnswer implements ClientResponse, Transport {
  headersSent = false;
  statusCode = 0;
  destroyed = false;
  writableFinished = false;
  readonly bytesRead = 0;
  readonly bytesBefore = 0;
  expectsContinue = false;
  closing = false;
  readonly #onClose: () => void;
  readonly #listeners: (() => void)[] = [];
  #isClosed = false;

  constructor(onClose: () => void) {
    this.#onClose = onClose;
  }

  writeHead(status: number): void {
    this.headersSent = true;
    this.statusCode = status;
  }

  write(_bytes: Buffer, done?: () => void): boolean {
    done?.();
    return true;
  }

  end(): void {
    this.writableFinished = true;
    this.#close();
  }

  /** Of the gateway, or of the client's own accord. */
  reset(): void {
    this.#close();
  }

  destroy(): void {
    this.#close();
  }

  on(event: 'close' | 'drain', listener: () => void): void {
    if (event === 'close') this.#listeners.push(listener);
  }

  emit(): boolean {
    this.#close();
    return true;
  }

  writeContinue(): void {}
  writeInformation(): void {}
  flushHeaders(): void {}
  addTrailers(): void {}

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.destroyed = true;
    for (const listener of this.#listeners) listener();
    this.#onClose();
  }
}

export function messageOf(visit: Visit, res: VirtualAnswer): ClientMessage {
  return { req: new VirtualRequest(visit), res, body: NO_BODY, transport: res };
}

/** Of all clients: what the exchange knows of a connection. */
export const CONNECTION = {
  scheme: 'http',
  trusted: false,
  minRate: 1,
  requestMs: Infinity,
  exchange: null,
  pending: 0,
} as unknown as ClientConnection;

export function addressOf({ client }: Visit): string {
  return `10.1.${client >> 8}.${client & 255}`;
}

export function headOf({ client }: Visit): RequestHead {
  const visible = ['host', HOST, 'x-user', `user-${client}`];
  return { ...emptyHead(visible), host: HOST, fields: [...visible] };
}

export function destinationOf({ item }: Visit): Destination {
  const path = `/items/${item}`;
  return { host: HOST, authority: HOST, port: 80, path, routePath: path, search: '' };
}
