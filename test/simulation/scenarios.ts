/**
 * What the simulator plays. Moments are shares of a run, so that a short run has the same course as a long one. `pool` and
 * `route` are written as in a route file; what they do not say has the default of the language.
 */
import type { ServerSpec, VirtualServer } from './virtual-server.ts';

export interface Scenario {
  readonly name: string;
  readonly what: string;
  readonly servers: readonly ServerSpec[];
  readonly perSecond: number;
  readonly seconds: number;
  /** Clients leave when an answer takes longer. */
  readonly patienceMs?: number;
  readonly pool?: object;
  readonly route?: object;
  /** When there could be an end to its trouble, and until when that is looked for. */
  readonly recovers?: { readonly from: number; readonly until: number };
  /** However it is balanced, every GET can be served. */
  readonly servesAll?: boolean;
  readonly play?: (stage: Stage) => void;
}

export interface Stage {
  readonly servers: readonly VirtualServer[];
  /** Of requests, against `perSecond`. */
  rate: number;
  /** @param share of the run. */
  at(share: number, act: () => void): void;
}

/** 80 requests a second; five of them 400. */
const ORDINARY: ServerSpec = { workers: 4, meanMs: 50 };
const five = (spec: ServerSpec = ORDINARY): ServerSpec[] => Array.from({ length: 5 }, () => spec);
const FROM_THE_START = { from: 0, until: 1 };
const CHECKED = { health: { active: { path: '/healthz', interval: '1s', timeout: '500ms' } } };

function crowd(stage: Stage): void {
  stage.at(0.4, () => (stage.rate = 4));
  stage.at(0.6, () => (stage.rate = 1));
}

function deploy({ servers, at }: Stage): void {
  servers.forEach((server, number) => {
    const from = 0.1 + 0.16 * number;
    at(from, () => (server.state = 'refusing'));
    at(from + 0.04, () => {
      server.state = 'up';
      server.slowness = 3;
    });
    at(from + 0.08, () => (server.slowness = 1));
  });
}

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'identical',
    what: 'five equal endpoints at 60 % of their capacity',
    servers: five(),
    perSecond: 240,
    seconds: 60,
    servesAll: true,
  },
  {
    name: 'one-slow',
    what: 'one of five takes ten times as long; the other four are at 60 %',
    servers: five(),
    perSecond: 192,
    seconds: 60,
    recovers: FROM_THE_START,
    play: ({ servers }) => {
      servers[4]!.slowness = 10;
    },
  },
  {
    name: 'black-hole',
    what: 'one of five answers 500 within a millisecond, for half of the run',
    servers: five(),
    perSecond: 240,
    seconds: 60,
    recovers: { from: 0.25, until: 0.75 },
    play: ({ servers, at }) => {
      at(0.25, () => (servers[4]!.failure = { status: 500, share: 1, afterMs: 1 }));
      at(0.75, () => (servers[4]!.failure = undefined));
    },
  },
  {
    name: 'half-broken',
    what: 'one of five answers three of ten requests with 500 at once; the pool compares success rates',
    servers: five(),
    perSecond: 240,
    seconds: 60,
    pool: { health: { passive: { successRate: {} } } },
    recovers: { from: 0.25, until: 0.75 },
    play: ({ servers, at }) => {
      at(0.25, () => (servers[4]!.failure = { status: 500, share: 0.3, afterMs: 1 }));
      at(0.75, () => (servers[4]!.failure = undefined));
    },
  },
  {
    name: 'brown-out',
    what: 'all five take three times as long for a third of the run: capacity is 55 % of what is asked',
    servers: five({ ...ORDINARY, backlog: 20 }),
    perSecond: 240,
    seconds: 60,
    patienceMs: 5_000,
    route: { retry: { on: ['connect', 'reset', 503] } },
    recovers: { from: 2 / 3, until: 1 },
    play: ({ servers, at }) => {
      at(1 / 3, () => servers.forEach((server) => (server.slowness = 3)));
      at(2 / 3, () => servers.forEach((server) => (server.slowness = 1)));
    },
  },
  {
    name: 'one-worse',
    what: 'all five take twice as long for a third of the run, and one of them answers 503 at once',
    servers: five({ ...ORDINARY, backlog: 20 }),
    perSecond: 240,
    seconds: 60,
    patienceMs: 5_000,
    route: { retry: { on: ['connect', 'reset', 503] } },
    recovers: { from: 2 / 3, until: 1 },
    play: ({ servers, at }) => {
      at(1 / 3, () => {
        for (const server of servers) server.slowness = 2;
        servers[4]!.failure = { status: 503, share: 1, afterMs: 1 };
      });
      at(2 / 3, () => {
        for (const server of servers) server.slowness = 1;
        servers[4]!.failure = undefined;
      });
    },
  },
  {
    name: 'outage',
    what: 'all five answer 503 at once for a fifth of the run',
    servers: five(),
    perSecond: 240,
    seconds: 60,
    route: { retry: { on: ['connect', 'reset', 503] } },
    recovers: { from: 0.6, until: 1 },
    play: ({ servers, at }) => {
      at(0.4, () => servers.forEach((server) => (server.failure = { status: 503, share: 1, afterMs: 1 })));
      at(0.6, () => servers.forEach((server) => (server.failure = undefined)));
    },
  },
  {
    name: 'flash-crowd',
    what: 'four times the requests for a fifth of the run, 1.6 times the capacity; a limit at 90 % of it',
    servers: five({ ...ORDINARY, backlog: 50 }),
    perSecond: 160,
    seconds: 60,
    patienceMs: 5_000,
    route: { rateLimit: { max: 360, per: '1s', by: 'route', burst: 36 } },
    recovers: { from: 0.6, until: 1 },
    play: crowd,
  },
  {
    name: 'queue',
    what: 'the same crowd; no limit of the route, but forty requests at once in the pool, and a queue',
    servers: five({ ...ORDINARY, backlog: 50 }),
    perSecond: 160,
    seconds: 60,
    patienceMs: 5_000,
    pool: { maxInFlight: { max: 40 } },
    recovers: { from: 0.6, until: 1 },
    play: crowd,
  },
  {
    name: 'rolling-deploy',
    what: 'each of five in turn stops, is away, and comes back at a third of its speed; checked each second',
    servers: five(),
    perSecond: 200,
    seconds: 60,
    pool: CHECKED,
    servesAll: true,
    play: deploy,
  },
  {
    name: 'slow-start',
    what: 'the same deploy, with a slow start of five seconds',
    servers: five(),
    perSecond: 200,
    seconds: 60,
    pool: { ...CHECKED, slowStart: '5s' },
    servesAll: true,
    play: deploy,
  },
  {
    name: 'spill',
    what: 'four, and three that stand by; two of the four are away for half of the run; checked each second',
    servers: [
      ...Array.from({ length: 4 }, () => ORDINARY),
      ...Array.from({ length: 3 }, () => ({ ...ORDINARY, priority: 1 })),
    ],
    perSecond: 192,
    seconds: 60,
    pool: CHECKED,
    recovers: { from: 0.25, until: 0.75 },
    servesAll: true,
    play: ({ servers, at }) => {
      at(0.25, () => servers.slice(0, 2).forEach((server) => server.crash()));
      at(0.75, () => servers.slice(0, 2).forEach((server) => (server.state = 'up')));
    },
  },
  {
    name: 'two-endpoints',
    what: 'one of two dies with all that it has, and is back a third of the run later',
    servers: [ORDINARY, ORDINARY],
    perSecond: 60,
    seconds: 60,
    recovers: { from: 1 / 3, until: 2 / 3 },
    servesAll: true,
    play: ({ servers, at }) => {
      at(1 / 3, () => servers[1]!.crash());
      at(2 / 3, () => (servers[1]!.state = 'up'));
    },
  },
  {
    name: 'low-traffic',
    what: 'two requests a second; one of five takes ten times as long',
    servers: five(),
    perSecond: 2,
    seconds: 600,
    recovers: FROM_THE_START,
    servesAll: true,
    play: ({ servers }) => {
      servers[4]!.slowness = 10;
    },
  },
  {
    name: 'heterogeneous',
    what: 'five with 1, 2, 4, 8 and 16 workers, and nobody has told the gateway; at 60 % in all',
    servers: [1, 2, 4, 8, 16].map((workers) => ({ workers, meanMs: 50 })),
    perSecond: 372,
    seconds: 60,
  },
];
