/** What every origin answers: 200 bytes of JSON; /medium is 64 KiB, /large a MiB. */
const order = {
  id: 7,
  status: 'shipped',
  customer: 'ada',
  currency: 'EUR',
  items: [{ sku: 'A-1', quantity: 2 }],
  note: '',
};
const room = 200 - JSON.stringify(order).length;

export const ANSWER = JSON.stringify({ ...order, note: '.'.repeat(room) });
export const MEDIUM_PATH = '/medium';
export const LARGE_PATH = '/large';
/** Paths that answer with so many bytes. */
export const SIZES: Readonly<Record<string, number>> = { [MEDIUM_PATH]: 64 * 1024, [LARGE_PATH]: 1024 ** 2 };

/** The same as a message of gRPC: a flag, its length, its bytes (which nobody on the way looks at). */
export const MESSAGE = Buffer.concat([Buffer.from([0, 0, 0, 0, ANSWER.length]), Buffer.from(ANSWER)]);
