import { describe, expect, it } from 'vitest';
import { DURATION_BUCKETS, ERROR_TYPES, MetricTable, OUTCOME } from './metric-table.ts';

const SIZE = { threads: 2, routes: 4, endpoints: 8 };

/** How many requests each bucket holds, by its bound. */
function filled(buckets: readonly number[]): Record<string, number> {
  const named = buckets.map((count, at) => [String(DURATION_BUCKETS[at] ?? '+Inf'), count] as const);
  return Object.fromEntries(named.filter(([, count]) => count > 0));
}

describe('the metric table', () => {
  it('adds up what all threads counted', () => {
    const table = MetricTable.allocate(SIZE);
    table.writer(0).request(1, 200, 3, 10, 100);
    table.writer(1).request(1, 200, 5, 20, 200);
    table.writer(1).request(1, 503, 7, 30, 300);

    const sums = table.route(1);
    expect(Object.fromEntries(sums.codes)).toEqual({ 200: 2, 503: 1 });
    expect(sums).toMatchObject({ requests: 3, bytesIn: 60, bytesOut: 600, durationSeconds: 0.015 });
  });

  it('is one table for all who hold its buffers', () => {
    const table = MetricTable.allocate(SIZE);
    new MetricTable(table.buffers).writer(1).attempt(7, 2, 40);
    expect(table.endpoint(7)).toMatchObject({ attempts: 1, durationSeconds: 0.04 });
  });

  it('keeps every row apart from its neighbours, the first and the last included', () => {
    const table = MetricTable.allocate(SIZE);
    const writer = table.writer(0);
    for (let row = 0; row < SIZE.routes; row++) writer.request(row, 511, 60_000, row, row);
    for (let row = 0; row < SIZE.endpoints; row++) writer.attempt(row, OUTCOME.cancelled, row);
    table.writer(1).inFlight(1);

    for (let row = 0; row < SIZE.routes; row++)
      expect(table.route(row)).toMatchObject({ requests: 1, bytesIn: row, bytesOut: row });
    for (let row = 0; row < SIZE.endpoints; row++) {
      expect(table.endpoint(row)).toMatchObject({ attempts: 1, durationSeconds: row / 1000, connections: 0 });
    }
    expect(table.threads().map(({ inFlight }) => inFlight)).toEqual([0, 1]);
  });

  it('counts a client that left before an answer as 499', () => {
    const table = MetricTable.allocate(SIZE);
    table.writer(0).request(0, 0, 1, 0, 0);
    expect([...table.route(0).codes]).toEqual([['499', 1]]);
  });

  it('bounds the codes that an upstream can invent', () => {
    const table = MetricTable.allocate(SIZE);
    for (const invented of [299, 499, 599, 777, 999, 1234]) table.writer(0).request(0, invented, 1, 0, 0);
    expect(Object.fromEntries(table.route(0).codes)).toEqual({ 499: 1, other: 5 });
  });

  it('holds a duration in the first bucket whose bound it does not exceed', () => {
    const table = MetricTable.allocate(SIZE);
    for (const ms of [0, 1, 1.001, 30_000, 30_001]) table.writer(0).request(0, 200, ms, 0, 0);
    expect(filled(table.route(0).buckets)).toEqual({ 0.001: 2, 0.0025: 1, 30: 1, '+Inf': 1 });
  });

  it('counts errors by their place in the catalogue, and retries', () => {
    const table = MetricTable.allocate(SIZE);
    table.writer(0).error(2, ERROR_TYPES.indexOf('connection_refused'));
    table.writer(1).error(2, ERROR_TYPES.indexOf('proxy_internal_error'));
    table.writer(1).retry(2);
    expect(Object.fromEntries(table.route(2).errors)).toEqual({ connection_refused: 1, proxy_internal_error: 1 });
    expect(table.route(2)).toMatchObject({ requests: 0, retries: 1 });
  });

  it('tells how tries ended', () => {
    const table = MetricTable.allocate(SIZE);
    for (const outcome of [2, 2, 5, OUTCOME.failure, OUTCOME.cancelled]) table.writer(0).attempt(3, outcome, 1);
    expect(Object.fromEntries(table.endpoint(3).outcomes)).toEqual({ failure: 1, '2xx': 2, '5xx': 1, cancelled: 1 });
  });

  it('takes a status that an upstream invented beyond 599 for a server error', () => {
    const table = MetricTable.allocate(SIZE);
    for (const outcome of [6, 7, 8, 9]) table.writer(0).attempt(3, outcome, 1);
    expect([...table.endpoint(3).outcomes]).toEqual([['5xx', 4]]);
    expect(table.endpoint(3)).toMatchObject({ durationSeconds: 0.004, connections: 0, connectionsOpened: 0 });
  });

  it('forgets what a dead thread had open, and goes on counting where it was', () => {
    const table = MetricTable.allocate(SIZE);
    const dead = table.writer(0);
    dead.downstreamOpened();
    dead.upstreamOpened(5);
    dead.inFlight(1);
    dead.loopDelay(1, 2, 3);
    dead.request(1, 200, 1, 0, 0);
    table.writer(1).upstreamOpened(5);

    table.forgetThread(0);

    expect(table.threads()[0]).toMatchObject({ inFlight: 0, downstreamNow: 0, upstreamNow: 0, loopDelayMaxMs: 0 });
    expect(table.threads()[0]).toMatchObject({ downstreamOpened: 1, upstreamOpened: 1 });
    expect(table.endpoint(5)).toMatchObject({ connections: 1, connectionsOpened: 2 });
    table.writer(0).request(1, 200, 1, 0, 0);
    expect(table.route(1).requests).toBe(2);
  });

  it('gives a row to another without its past', () => {
    const table = MetricTable.allocate(SIZE);
    for (const row of [1, 2]) {
      table.writer(1).request(row, 200, 1, 1, 1);
      table.writer(1).attempt(row, 2, 1);
    }
    table.resetRoute(1);
    table.resetEndpoint(1);
    expect(table.route(1)).toMatchObject({ requests: 0, bytesIn: 0, durationSeconds: 0 });
    expect(table.endpoint(1)).toMatchObject({ attempts: 0, durationSeconds: 0 });
    expect(table.route(2).requests).toBe(1);
    expect(table.endpoint(2).attempts).toBe(1);
  });

  it('costs no memory for rows that nobody counts in, also when a thread is forgotten', () => {
    const before = process.memoryUsage.rss();
    const table = MetricTable.allocate({ threads: 64, routes: 4096, endpoints: 65_536 });
    table.writer(63).attempt(65_535, 2, 1);
    table.forgetThread(0);
    expect(table.buffers.shared.byteLength).toBeGreaterThan(500e6);
    expect(process.memoryUsage.rss() - before).toBeLessThan(50e6);
  });
});
