import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { adminView, endpointView, ENDPOINT_ROWS, fill, ROUTE_ROWS } from '../../test/support/admin-view.ts';
import type { Config } from '../config/schema.ts';
import { createScrape, type ScrapeView } from './scrape.ts';

/** The series of a page, by name and labels as written. */
async function series(view: ScrapeView): Promise<Record<string, number>> {
  const page = await createScrape(view).render();
  const lines = page.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
  );
}

const startingWith = (all: Record<string, number>, name: string) =>
  Object.fromEntries(Object.entries(all).filter(([key]) => key.startsWith(name)));

describe('a scrape', () => {
  it('is a page that promtool finds nothing wrong with', async ({ skip }) => {
    const view = adminView({ staleFiles: ['routes.d/users.yaml'] });
    fill(view.metricTable);
    const page = await createScrape(view).render();
    const { error, status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], {
      input: page,
      encoding: 'utf8',
    });
    skip(error !== undefined, 'promtool is not installed: the format of the page stays unchecked');
    expect({ status, said: stdout + stderr }).toEqual({ status: 0, said: '' });
  });

  it('shows how long certificates are good', async () => {
    expect(startingWith(await series(adminView()), 'aya_tls')).toEqual({
      'aya_tls_certificate_expiry_seconds{listener="0.0.0.0:8443",file="certs/api.pem"}': 86_400,
    });
  });

  it('shows how the documents of other servers are kept, without what stands in their queries', async () => {
    expect(startingWith(await series(adminView()), 'aya_document')).toEqual({
      'aya_document_fetches_total{url="https://id.example.com/keys",outcome="ok"}': 4,
      'aya_document_fetches_total{url="https://id.example.com/keys",outcome="failed"}': 1,
      'aya_document_age_seconds{url="https://id.example.com/keys"}': 90,
    });
  });

  it('shows requests by route and code, with their durations as a cumulative histogram in seconds', async () => {
    const view = adminView();
    for (const ms of [4, 40, 40_000]) view.metricTable.writer(0).request(ROUTE_ROWS.users, 200, ms, 10, 20);
    view.metricTable.writer(1).request(ROUTE_ROWS.users, 0, 4, 10, 20);

    const all = await series(view);

    expect(startingWith(all, 'aya_requests_total')).toEqual({
      'aya_requests_total{route="users",code="200"}': 3,
      'aya_requests_total{route="users",code="499"}': 1,
    });
    expect(all).toMatchObject({
      'aya_request_duration_seconds_bucket{route="users",le="0.0025"}': 0,
      'aya_request_duration_seconds_bucket{route="users",le="0.005"}': 2,
      'aya_request_duration_seconds_bucket{route="users",le="0.05"}': 3,
      'aya_request_duration_seconds_bucket{route="users",le="30"}': 3,
      'aya_request_duration_seconds_bucket{route="users",le="+Inf"}': 4,
      'aya_request_duration_seconds_count{route="users"}': 4,
      'aya_request_duration_seconds_sum{route="users"}': 40.048,
      'aya_request_bytes_total{route="users"}': 40,
      'aya_response_bytes_total{route="users"}': 80,
    });
  });

  it('sees what was counted since the last one, once', async () => {
    const view = adminView();
    const scrape = createScrape(view);
    for (const expected of [1, 2, 3]) {
      view.metricTable.writer(0).request(ROUTE_ROWS.users, 200, 1, 0, 0);
      expect(await scrape.render()).toContain(`aya_requests_total{route="users",code="200"} ${expected}\n`);
    }
  });

  it('tells which endpoints are available and, of the others, why not', async () => {
    const all = await series(adminView());
    expect(startingWith(all, 'aya_endpoint_available')).toEqual({
      'aya_endpoint_available{pool="users",endpoint="http://127.0.0.1:7101"}': 1,
      'aya_endpoint_available{pool="users",endpoint="http://127.0.0.1:7102"}': 0,
      'aya_endpoint_available{pool="orders",endpoint="http://127.0.0.1:7201"}': 1,
    });
    expect(startingWith(all, 'aya_endpoint_status')).toEqual({
      'aya_endpoint_status{pool="users",endpoint="http://127.0.0.1:7102",reason="unhealthy"}': 1,
      'aya_endpoint_status{pool="users",endpoint="http://127.0.0.1:7102",reason="ejected"}': 1,
    });
    expect(all).toMatchObject({
      'aya_endpoint_in_flight{pool="users",endpoint="http://127.0.0.1:7101"}': 4,
      'aya_endpoint_latency_seconds{pool="users",endpoint="http://127.0.0.1:7101"}': 0.0123456,
      'aya_ejections_total{pool="users",endpoint="http://127.0.0.1:7102"}': 2,
      'aya_pool_panic{pool="users"}': 0,
      'aya_pool_panic{pool="orders"}': 1,
      'aya_pool_panics_total{pool="orders"}': 7,
    });
  });

  it('tells how tries at an endpoint ended and how long they took', async () => {
    const view = adminView();
    for (const outcome of [2, 2, 0]) view.metricTable.writer(1).attempt(ENDPOINT_ROWS.orders1, outcome, 500);
    const all = await series(view);
    const labels = 'pool="orders",endpoint="http://127.0.0.1:7201"';
    expect(startingWith(all, 'aya_upstream_attempts_total')).toEqual({
      [`aya_upstream_attempts_total{${labels},outcome="2xx"}`]: 2,
      [`aya_upstream_attempts_total{${labels},outcome="failure"}`]: 1,
    });
    expect(startingWith(all, 'aya_upstream_duration_seconds')).toEqual({
      [`aya_upstream_duration_seconds_sum{${labels}}`]: 1.5,
      [`aya_upstream_duration_seconds_count{${labels}}`]: 3,
    });
  });

  it('tells what serves: revision, stale files, threads', async () => {
    const view = adminView({ staleFiles: ['routes.d/users.yaml'] });
    view.metricTable.writer(1).loopDelay(1, 20, 300);
    expect(await series(view)).toMatchObject({
      'aya_config_revision_info{revision="c0ffee"}': 1,
      'aya_config_file_stale{file="routes.d/users.yaml"}': 1,
      'aya_reloads_total{result="ok"}': 3,
      'aya_reloads_total{result="refused"}': 1,
      aya_thread_restarts_total: 2,
      'aya_threads{state="up"}': 2,
      'aya_event_loop_delay_seconds{thread="1",quantile="0.99"}': 0.02,
      'aya_event_loop_delay_seconds{thread="1",quantile="1"}': 0.3,
    });
  });

  it('lets endpoints beyond the bound share one series of each metric', async () => {
    const endpoints = Array.from({ length: 10 }, (_, row) =>
      endpointView(`http://10.0.0.${row}`, row, { inFlight: 1, averageMs: 5, status: row === 9 ? ['draining'] : [] }),
    );
    const pool = { name: 'many', balance: 'random', tiers: [], panic: false, panics: 0, available: 9, endpoints };
    const view = adminView({
      config: {
        gateway: { metrics: { maxRoutes: 10, maxEndpoints: 2 }, groups: {}, rateLimits: {} } as unknown,
        routes: [],
        consumers: [],
      } as unknown as Config,
      pools: () => [pool],
    });
    for (const { row } of endpoints) view.metricTable.writer(0).attempt(row, 2, 125);

    const all = await series(view);

    expect(startingWith(all, 'aya_upstream_attempts_total')).toEqual({
      'aya_upstream_attempts_total{pool="many",endpoint="http://10.0.0.0",outcome="2xx"}': 1,
      'aya_upstream_attempts_total{pool="many",endpoint="http://10.0.0.1",outcome="2xx"}': 1,
      'aya_upstream_attempts_total{pool="__other__",endpoint="__other__",outcome="2xx"}': 8,
    });
    expect(all).toMatchObject({
      'aya_endpoint_available{pool="__other__",endpoint="__other__"}': 7,
      'aya_endpoint_in_flight{pool="__other__",endpoint="__other__"}': 8,
      'aya_upstream_duration_seconds_sum{pool="__other__",endpoint="__other__"}': 1,
      'aya_upstream_duration_seconds_count{pool="__other__",endpoint="__other__"}': 8,
    });
    expect(Object.keys(startingWith(all, 'aya_endpoint_latency_seconds'))).toHaveLength(2);
  });

  it('has no series for what never happened', async () => {
    const all = await series(adminView());
    const silent = ['aya_requests_total', 'aya_request_duration', 'aya_errors', 'aya_retries', 'aya_upstream_duration'];
    for (const name of silent) expect(startingWith(all, name)).toEqual({});
  });

  it('writes any name so that it stays one label', async () => {
    const view = adminView({ routeNames: new Map([[5, 'a"} 1\naya_evil{x="\\']]) });
    view.metricTable.writer(0).request(5, 200, 1, 0, 0);
    const page = await createScrape(view).render();
    expect(page).toContain(String.raw`aya_requests_total{route="a\"} 1\naya_evil{x=\"\\",code="200"} 1`);
    expect(page).not.toMatch(/^aya_evil/m);
  });
});
