/** What every origin answers: 200 bytes of JSON; /large is a MiB. */
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
export const LARGE_PATH = '/large';
export const LARGE_BYTES = 1024 ** 2;
