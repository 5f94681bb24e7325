/** What the demo's services know: enough to look like a shop, small enough to read in a terminal. */
export type Item = Readonly<Record<string, unknown> & { id: number }>;

const users: readonly Item[] = [
  { id: 1, name: 'Ada Lovelace', email: 'ada@example.com', since: 2019 },
  { id: 2, name: 'Alan Turing', email: 'alan@example.com', since: 2020 },
  { id: 3, name: 'Grace Hopper', email: 'grace@example.com', since: 2021 },
];

const orders: readonly Item[] = [
  { id: 7, user: 1, status: 'shipped', lines: [{ item: 101, quantity: 2 }], total: '39.80 EUR' },
  { id: 8, user: 3, status: 'paid', lines: [{ item: 103, quantity: 1 }], total: '249.00 EUR' },
  { id: 9, user: 2, status: 'open', lines: [{ item: 102, quantity: 5 }], total: '62.50 EUR' },
];

const catalogue: readonly Item[] = [
  { id: 101, title: 'Punched cards, pack of 80', price: '19.90 EUR', stock: 412 },
  { id: 102, title: 'Paper tape, one mile', price: '12.50 EUR', stock: 77 },
  { id: 103, title: 'Slide rule, bamboo', price: '249.00 EUR', stock: 3 },
];

/** The next version of the catalogue says more about each item, so that one sees which version answered. */
const catalogueNext = catalogue.map((item) => ({ ...item, rating: 4.5, edition: 'next' }));

const RECORDS: Readonly<Record<string, readonly Item[]>> = {
  users,
  orders,
  catalogue,
  'catalogue-next': catalogueNext,
};

/**
 * `/users`, `/v1/users` → all; `/users/2` → one, or undefined when there is no such id. Only the last segment is read:
 * whatever the gateway rewrote before it, the answer stays the same.
 */
export function lookUp(service: string, path: string): readonly Item[] | Item | undefined {
  const records = RECORDS[service] ?? [];
  const last = path.slice(path.lastIndexOf('/') + 1);
  return /^\d+$/.test(last) ? records.find(({ id }) => id === Number(last)) : records;
}
