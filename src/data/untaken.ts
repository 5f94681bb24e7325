/**
 * An answer of our own waits for its client alone. Of HTTP/1.1 the kernel takes what is so small; a client of HTTP/2 may
 * open no window for it, and would hold the request, its connection and a drain for ever.
 */
import { Deadline } from '../timer-wheel.ts';
import type { ClientResponse, Transport } from './client-message.ts';
import type { DataContext } from './context.ts';

/** @param res is sent, or about to be. */
export function awaitTaken(
  res: ClientResponse,
  transport: Transport,
  { clock, wheel }: DataContext,
  withinMs: number,
): void {
  // On HTTP/1.1 it may also stand behind another, which has all its time.
  if ((transport as unknown) !== res) return;
  const untaken = new Untaken(transport);
  wheel.set(untaken, clock.now() + withinMs);
  res.on('close', () => wheel.clear(untaken));
}

class Untaken extends Deadline {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    super();
    this.#transport = transport;
  }

  override onDue(): void {
    this.#transport.reset();
  }
}
