import { beforeEach, describe, expect, it } from 'vitest';
import { FakeClock } from '../../../test/support/fake-clock.ts';
import type { CookieStickyConfig, StickyConfig, TableStickyConfig } from '../../config/schema.ts';
import type { ResponseHandler, UpstreamRequest } from '../../data/dispatch.ts';
import { GatewayError } from '../../errors.ts';
import { ENDPOINT, EndpointTable } from '../../memory/endpoint-table.ts';
import { SessionTable } from '../../memory/session-table.ts';
import type { SessionStore, SharedSession } from '../../store/store.ts';
import type { Endpoint } from '../pool.ts';
import { askFirst } from './ask-first.ts';
import { CookieSessions } from './cookie-sessions.ts';
import type { Outcome } from './sessions.ts';
import { Stickiness } from './stickiness.ts';
import { TableSessions } from './table-sessions.ts';

const HOUR = 3_600_000;
const SECRETS = ['of these tests, and no others'];
const COOKIE: CookieStickyConfig = {
  cookie: 'aya',
  returns: false,
  whileDraining: 'move',
  lifetime: 'session',
  secure: 'auto',
  httpOnly: true,
  sameSite: 'lax',
  path: '/',
};
const TABLE: TableStickyConfig = { on: 'header:x-session', ttl: HOUR, returns: false, whileDraining: 'move' };

let clock: FakeClock;
let table: EndpointTable;
let sessionTable: SessionTable;
let counted: Outcome[];
/** Whether the breaker of an endpoint is closed. */
let isClosed: boolean[];

beforeEach(() => {
  clock = new FakeClock();
  table = EndpointTable.allocate(1, 8);
  sessionTable = SessionTable.allocate(4);
  counted = [];
  isClosed = [true, true, true];
});

const endpoints = () =>
  ['a', 'b', 'c'].map((name, row): Endpoint => {
    const breaker = {
      get isClosed() {
        return isClosed[row]!;
      },
    };
    return { url: `http://${name}`, row, weight: 1, backup: false, connections: null, breaker } as never;
  });

function pool(config: StickyConfig, name = 'orders', store?: SessionStore, members = endpoints()) {
  const sessions =
    'cookie' in config
      ? new CookieSessions(name, config, config.secrets ?? SECRETS, members)
      : new TableSessions({ pool: name, config, table: sessionTable, clock, store });
  const count = (_: number, outcome: Outcome) => void counted.push(outcome);
  return { sticky: new Stickiness({ config, sessions, endpoints: members, table, clock, count }), members };
}

type Edit = (fields: string[]) => void;

/** A client that keeps its cookie, and brings a field where it has one. */
class Client {
  cookie: string | undefined;
  session: string | undefined;
  scheme = 'http';
  /** Of the latest answer. */
  set: string | undefined;

  request(): UpstreamRequest {
    const edits: Edit[] = [];
    const exchange = {
      rule: { row: 0 },
      view: { scheme: this.scheme },
      edits,
      header: (name: string) => (name === 'cookie' ? this.cookie : this.session),
      editResponse: (edit: Edit) => void edits.push(edit),
    };
    return { exchange, tried: undefined } as unknown as UpstreamRequest;
  }

  /** Where it is sent; undefined: anywhere, and then `elsewhere` answers. */
  ask({ sticky, members }: ReturnType<typeof pool>, elsewhere = 0): string | undefined {
    const request = this.request();
    const stuckTo = sticky.pick(request);
    sticky.answered(request.bond!, stuckTo ?? members[elsewhere]!, []);
    this.take(request);
    return stuckTo?.url;
  }

  take({ exchange }: UpstreamRequest): void {
    const fields: string[] = [];
    for (const edit of (exchange as unknown as { edits: Edit[] }).edits) edit(fields);
    this.set = fields[fields.indexOf('set-cookie') + 1];
    if (fields.length === 0) this.set = undefined;
    else this.cookie = this.set!.split(';')[0]!;
  }
}

const set = (row: number, bit: number) => table.setStatus(row, bit, true);

describe.each([
  ['in a cookie', COOKIE],
  ['in a table', TABLE],
] as const)('a session %s', (_, kind) => {
  let client: Client;

  beforeEach(() => {
    client = new Client();
    client.session = 'anna';
  });

  it('is where the first answer came from', () => {
    const orders = pool({ ...kind, ttl: HOUR });
    expect(client.ask(orders, 1)).toBeUndefined();
    expect(client.ask(orders)).toBe('http://b');
    expect(client.ask(orders)).toBe('http://b');
    expect(counted).toEqual([kind === COOKIE ? 'new' : 'unknown', 'stuck', 'stuck']);
  });

  it('ends when it was idle for its time, and no sooner, however often it was used', () => {
    const orders = pool({ ...kind, ttl: HOUR });
    client.ask(orders, 1);
    for (let at = 0; at < 10; at++) {
      clock.advance(0.85 * HOUR);
      expect(client.ask(orders)).toBe('http://b');
    }
    clock.advance(1.01 * HOUR);
    expect(client.ask(orders)).toBeUndefined();
    expect(counted.at(-1)).toBe(kind === COOKIE ? 'expired' : 'unknown');
  });

  it('ends with its age, also while it is used', () => {
    const orders = pool({ ...kind, ttl: HOUR, maxAge: 2 * HOUR });
    client.ask(orders, 1);
    for (let at = 0; at < 19; at++) {
      clock.advance(0.1 * HOUR);
      expect(client.ask(orders)).toBe('http://b');
    }
    clock.advance(0.2 * HOUR);
    expect(client.ask(orders)).toBeUndefined();
    expect(client.ask(orders)).toBe('http://a');
  });

  it.each(['unhealthy', 'ejected', 'draining', 'joining'] as const)('leaves an endpoint that is %s', (state) => {
    const orders = pool({ ...kind, ttl: HOUR });
    client.ask(orders, 1);
    set(1, ENDPOINT[state]);
    expect(client.ask(orders, 2)).toBeUndefined();
    expect(counted.at(-1)).toBe('unavailable');
    table.setStatus(1, ENDPOINT[state], false);
    expect(client.ask(orders)).toBe('http://c');
  });

  it('leaves an endpoint whose breaker is open, or that was tried already', () => {
    const orders = pool({ ...kind, ttl: HOUR });
    client.ask(orders, 1);
    const request = { ...client.request(), tried: [orders.members[1]!] } as UpstreamRequest;
    expect(orders.sticky.pick(request)).toBeUndefined();
    isClosed[1] = false;
    expect(client.ask(orders, 2)).toBeUndefined();
    expect(client.ask(orders)).toBe('http://c');
  });

  it('leaves an endpoint that has as many requests as its agent lets it have', () => {
    const orders = pool({ ...kind, ttl: HOUR });
    client.ask(orders, 1);
    table.loads.setMaxInFlight(1, 1);
    expect(client.ask(orders)).toBe('http://b');
    table.begin(1, 0);
    expect(client.ask(orders, 2)).toBeUndefined();
  });

  it('goes, with a hedge, to whoever answered first', () => {
    const orders = pool({ ...kind, ttl: HOUR });
    client.ask(orders, 1);
    const request = client.request();
    expect(orders.sticky.pick(request)).toBe(orders.members[1]);
    const hedge: UpstreamRequest = { ...request, tried: [orders.members[1]!] };
    expect(orders.sticky.pick(hedge)).toBeUndefined();
    orders.sticky.answered(hedge.bond!, orders.members[2]!, []);
    client.take(request);
    expect(client.ask(orders)).toBe('http://c');
  });

  it('leaves an endpoint without weight', () => {
    const light = endpoints().map((endpoint) => ({ ...endpoint, weight: endpoint.row === 1 ? 0 : 1 }));
    client.ask(pool({ ...kind, ttl: HOUR }), 1);
    expect(client.ask(pool({ ...kind, ttl: HOUR }, 'orders', undefined, light), 2)).toBeUndefined();
  });

  it('stays at an endpoint that only drains, where that is wanted, and none begins there', () => {
    const orders = pool({ ...kind, ttl: HOUR, whileDraining: 'keep' });
    client.ask(orders, 1);
    set(1, ENDPOINT.draining);
    expect(client.ask(orders)).toBe('http://b');
    clock.advance(0.5 * HOUR);
    expect(client.ask(orders)).toBe('http://b');
    const other = new Client();
    other.session = 'ben';
    other.ask(orders, 1);
    expect(other.ask(orders)).toBeUndefined();
    set(1, ENDPOINT.unhealthy);
    expect(client.ask(orders)).toBeUndefined();
  });

  it('is left alone by answers that come in panic', () => {
    const orders = pool({ ...kind, ttl: HOUR });
    client.ask(orders, 1);
    for (const row of [0, 1, 2]) set(row, ENDPOINT.unhealthy);
    expect(client.ask(orders, 0)).toBeUndefined();
    expect(client.ask(orders, 2)).toBeUndefined();
    for (const row of [0, 1, 2]) table.setStatus(row, ENDPOINT.unhealthy, false);
    expect(client.ask(orders)).toBe('http://b');
  });

  it('returns where that is wanted, again and again', () => {
    const orders = pool({ ...kind, ttl: HOUR, returns: true });
    client.ask(orders, 1);
    for (let at = 0; at < 3; at++) {
      set(1, ENDPOINT.ejected);
      expect(client.ask(orders, 2)).toBeUndefined();
      expect(client.ask(orders)).toBe('http://c');
      table.setStatus(1, ENDPOINT.ejected, false);
      expect(client.ask(orders)).toBe('http://b');
    }
  });

  it('finds its endpoint again where that has left and come back, and returning is wanted', () => {
    const orders = pool({ ...kind, ttl: HOUR, returns: true });
    client.ask(orders, 1);
    const without = pool({ ...kind, ttl: HOUR, returns: true }, 'orders', undefined, [endpoints()[0]!]);
    expect(client.ask(without)).toBeUndefined();
    expect(counted.at(-1)).toBe('gone');
    expect(client.ask(without)).toBe('http://a');
    expect(client.ask(orders)).toBe('http://b');
  });

  it('of a request that another pool took over is left as it was', () => {
    const orders = pool({ ...kind, ttl: HOUR });
    const fallback = pool({ ...kind, ttl: HOUR }, 'fallback');
    client.ask(orders, 1);
    set(1, ENDPOINT.ejected);
    const request = client.request();
    orders.sticky.pick(request);
    orders.sticky.answered(request.bond!, orders.members[0]!, []);
    const first = request.bond!;
    fallback.sticky.pick(request);
    expect(first.due).toBeUndefined();
    expect(request.bond!.stickiness).toBe(fallback.sticky);
    table.setStatus(1, ENDPOINT.ejected, false);
    client.take(request);
    if (kind === COOKIE) expect(client.ask(orders)).toBe('http://b');
  });

  it('outlives a clock that is set back', () => {
    const orders = pool({ ...kind, ttl: HOUR });
    client.ask(orders, 1);
    clock = new FakeClock(1_000);
    expect(client.ask(pool({ ...kind, ttl: HOUR }))).toBe('http://b');
  });
});

describe('the cookie of a session', () => {
  it('is set at first, each tenth of its idle time, and when the session moves', () => {
    const orders = pool({ ...COOKIE, ttl: HOUR });
    const client = new Client();
    const isSet = () => {
      client.ask(orders, 2);
      return client.set !== undefined;
    };
    expect([isSet(), isSet()]).toEqual([true, false]);
    clock.advance(0.09 * HOUR);
    expect(isSet()).toBe(false);
    clock.advance(0.02 * HOUR);
    expect([isSet(), isSet()]).toEqual([true, false]);
    set(2, ENDPOINT.ejected);
    client.ask(orders, 0);
    expect([client.set !== undefined, isSet()]).toEqual([true, false]);
  });

  it('without ends is set once', () => {
    const orders = pool(COOKIE);
    const client = new Client();
    client.ask(orders);
    clock.advance(10_000 * HOUR);
    expect(client.ask(orders)).toBe('http://a');
    expect(client.set).toBeUndefined();
  });

  it('is for https alone where the client speaks that, or where it always is', () => {
    for (const [secure, scheme, expected] of [
      ['auto', 'http', false],
      ['auto', 'https', true],
      ['always', 'http', true],
      ['never', 'https', false],
    ] as const) {
      const client = new Client();
      client.scheme = scheme;
      client.ask(pool({ ...COOKIE, secure }));
      expect(/; Secure$/.test(client.set!)).toBe(expected);
    }
  });

  it('is no longer good with any bit of it turned', () => {
    const orders = pool(COOKIE);
    const client = new Client();
    client.ask(orders, 1);
    const [name, value] = client.cookie!.split('=') as [string, string];
    const bytes = Buffer.from(value, 'base64url');
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const turned = Buffer.from(bytes);
      turned[bit >> 3]! ^= 1 << (bit & 7);
      const other = new Client();
      other.cookie = `${name}=${turned.toString('base64url')}`;
      expect(other.ask(orders)).toBeUndefined();
    }
    expect(new Set(counted)).toEqual(new Set(['new', 'forged']));
  });

  it('tells nothing of addresses, and differs from pool to pool', () => {
    const [orders, users] = [new Client(), new Client()];
    orders.ask(pool(COOKIE, 'orders'), 1);
    users.ask(pool(COOKIE, 'users'), 1);
    const ids = [orders, users].map(({ cookie }) => Buffer.from(cookie!.slice(4), 'base64url').subarray(0, 6));
    expect(ids[0]).not.toEqual(ids[1]);
    users.cookie = orders.cookie;
    expect(users.ask(pool(COOKIE, 'users'))).toBeUndefined();
    expect(counted.at(-1)).toBe('forged');
  });

  it('of a secret that is on its way out is good, and written anew with the next answer', () => {
    const [old, next] = ['the old one of all gateways', 'the new one of all gateways'];
    const client = new Client();
    client.ask(pool({ ...COOKIE, returns: true, secrets: [old] }), 1);
    const both = pool({ ...COOKIE, returns: true, secrets: [next, old] });
    expect(client.ask(both)).toBe('http://b');
    expect(client.set).toBeDefined();
    expect(client.ask(both)).toBe('http://b');
    expect(client.set).toBeUndefined();
    expect(client.ask(pool({ ...COOKIE, returns: true, secrets: [next] }))).toBe('http://b');
    expect(client.ask(pool({ ...COOKIE, returns: true, secrets: [old] }))).toBeUndefined();
  });
});

describe('a session that another gateway may know', () => {
  /** Answers when it is told to. */
  class Store implements SessionStore {
    isUp = true;
    readonly questions: ((session: SharedSession | undefined) => void)[] = [];
    readonly saved: SharedSession[] = [];
    stands: SharedSession | undefined;

    find(_: string, done: (session: SharedSession | undefined) => void): void {
      this.questions.push(done);
    }
    save(...[, , session, , done]: Parameters<SessionStore['save']>): void {
      this.saved.push(session);
      done(this.stands);
    }
  }

  const elsewhere = () => {
    const other = pool(TABLE);
    const id = new TableSessions({ pool: 'orders', config: TABLE, table: sessionTable, clock, store: undefined });
    const seenAt = clock.wall() / 1000;
    const at = id.idOf(other.members[2]!);
    return { home: at, current: at, beganAt: seenAt, seenAt };
  };
  const anna = () => Object.assign(new Client(), { session: 'anna' });

  it('is asked for once, and only where the memory does not say', () => {
    const store = new Store();
    const orders = pool(TABLE, 'orders', store);
    const request = anna().request();
    expect(orders.sticky.asks(request)).toBe(true);
    let isDone = false;
    orders.sticky.ask(request, () => (isDone = true));
    store.questions[0]!(elsewhere());
    expect(isDone).toBe(true);
    expect(orders.sticky.asks(request)).toBe(false);
    expect(orders.sticky.pick(request)?.url).toBe('http://c');
    expect(orders.sticky.asks(anna().request())).toBe(false);
    expect(orders.sticky.asks(new Client().request())).toBe(false);
    store.isUp = false;
    expect(orders.sticky.asks(Object.assign(new Client(), { session: 'ben' }).request())).toBe(false);
  });

  it('is where the first of two gateways put it', () => {
    const store = new Store();
    const orders = pool(TABLE, 'orders', store);
    store.stands = elsewhere();
    expect(anna().ask(orders, 0)).toBeUndefined();
    expect(anna().ask(orders)).toBe('http://c');
  });

  it('is not forwarded for a client that left while the store was thinking, and the client hears it', () => {
    const store = new Store();
    const orders = pool(TABLE, 'orders', store);
    const heard: string[] = [];
    let abort: (reason: GatewayError) => void = () => {};
    const handler = {
      onStart: (control: { abort: typeof abort }) => (abort = (reason) => control.abort(reason)),
      onError: (error: GatewayError) => heard.push(error.type),
    } as unknown as ResponseHandler;
    let forwarded = 0;
    askFirst(orders.sticky, anna().request(), handler, () => (forwarded += 1));
    askFirst(orders.sticky, anna().request(), { ...handler, onStart: () => {} } as ResponseHandler, () => {
      forwarded += 1;
    });
    const left = new GatewayError('connection_terminated', 'left');
    abort(left);
    abort(left);
    for (const answer of store.questions) answer(undefined);
    expect(heard).toEqual(['connection_terminated']);
    expect(forwarded).toBe(1);
  });
});
