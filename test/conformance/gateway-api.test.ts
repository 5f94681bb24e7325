/** HTTPRoute’s behaviours, each as one request through one gateway. */
import { beforeAll, describe, expect, it } from 'vitest';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';
import { valuesOf } from '../support/http1.ts';
import { ask, request, type RawResponse } from '../support/raw-client.ts';
import { echo, startUpstream, type Answer, type Echo } from '../support/upstream.ts';
import { MATCHING, type Ask, type Topic } from './gateway-api-cases.ts';
import { CORS } from './gateway-api-cors.ts';
import { FILTERS } from './gateway-api-filters.ts';

const TOPICS = [...MATCHING, ...FILTERS, CORS];
let gateway: GatewayFixture;

const signed: Answer = (request, response, upstream) => {
  response.setHeader('X-From-Upstream', 'upstream');
  response.setHeader('Set-Cookie', ['a=1', 'b=2']);
  echo(request, response, upstream);
};

beforeAll(async () => {
  const names = ['a', 'b', 'c', 'd'];
  const upstreams = await Promise.all(names.map((name) => startUpstream(name, signed)));
  const pools = Object.fromEntries(upstreams.map(({ name, url }) => [name, { endpoints: [url] }]));
  const files = Object.fromEntries(TOPICS.map((topic, at) => [`${at}.yaml`, { routes: routesOf(topic) }]));
  gateway = await gatewayFixture({
    gateway: { accessLog: { enabled: false } },
    files: {
      ...files,
      'pools.yaml': { pools: { ...pools, none: { endpoints: [] } } },
      'shares.yaml': {
        routes: SHARES.map(({ name, split }) => ({ name, match: { host: 'shares.test', path: `/${name}` }, split })),
      },
    },
  });
});

describe.each(TOPICS)('$topic', ({ host: topicHost, asks }) => {
  it.each(asks)('$it: $ask', async ({ ask: line, host = topicHost, fields = [], gets }) => {
    const [method = '', target = ''] = line.split(' ');
    const answer = await send(method, target, host, fields);
    expect(answer.status).toBe(gets.status ?? 200);
    if (gets.pool !== undefined) expectArrival(JSON.parse(answer.text()) as Echo, gets);
    for (const [name, values] of Object.entries(gets.answer ?? {})) {
      expect(joined(answer.fields, name), name).toBe(values);
    }
    if (gets.status === 503) expect(answer.field('retry-after')).toBeDefined();
  });
});

const SHARES = [
  {
    name: 'even',
    split: [
      { pool: 'a', weight: 1 },
      { pool: 'b', weight: 1 },
    ],
    of: 10,
    gets: { a: 5, b: 5 },
  },
  {
    name: 'canary',
    split: [
      { pool: 'a', weight: 90 },
      { pool: 'b', weight: 10 },
    ],
    of: 10,
    gets: { a: 9, b: 1 },
  },
  {
    name: 'three',
    split: [
      { pool: 'a', weight: 70 },
      { pool: 'b', weight: 30 },
      { pool: 'c', weight: 0 },
    ],
    of: 100,
    gets: { a: 70, b: 30 },
  },
  {
    name: 'odd',
    split: [
      { pool: 'a', weight: 3 },
      { pool: 'b', weight: 2 },
      { pool: 'c', weight: 1 },
    ],
    of: 60,
    gets: { a: 30, b: 20, c: 10 },
  },
  { name: 'unweighted', split: [{ pool: 'a' }, { pool: 'b' }], of: 10, gets: { a: 5, b: 5 } },
];

describe('a split', () => {
  it.each(SHARES)('has exact shares, also over small numbers: $name', async ({ name, of, gets }) => {
    const counts: Record<string, number> = {};
    for (let at = 0; at < of; at++) {
      const { instance } = JSON.parse((await send('GET', `/${name}`, 'shares.test')).text()) as Echo;
      counts[instance] = (counts[instance] ?? 0) + 1;
    }
    expect(counts).toEqual(gets);
  });
});

describe('many parameters', () => {
  it('as many query parameters as are allowed are matched in bounded time', async () => {
    const query = Array.from({ length: 900 }, (_, at) => `p${at}=1`).join('&');
    const answer = await send('GET', `/q?${query.slice(0, 7_500)}&animal=whale`, 'queries.test');
    expect(answer.status).toBe(200);
  });
});

async function send(
  method: string,
  target: string,
  host: string,
  fields: readonly string[] = [],
): Promise<RawResponse> {
  const bytes = request(method, target, host, [...fields, 'Connection: close']);
  const { responses } = await ask(gateway.port, bytes, { answers: 0, methods: [method] });
  return responses[0]!;
}

function routesOf({ host, routes }: Topic): unknown[] {
  const withHost = (match: object) => ({ host, ...match });
  return routes.map((route) => {
    const match = route.match as object | object[];
    return { ...route, match: Array.isArray(match) ? match.map(withHost) : withHost(match) };
  });
}

function expectArrival(arrived: Echo, gets: Ask['gets']): void {
  expect(arrived.instance).toBe(gets.pool);
  if (gets.target !== undefined) expect(arrived.target).toBe(gets.target);
  for (const [name, values] of Object.entries(gets.upstream ?? {})) {
    expect(joined(arrived.fields, name), name).toBe(values);
  }
}

function joined(fields: readonly string[], name: string): string | null {
  const values = valuesOf(fields, name);
  return values.length === 0 ? null : values.flatMap((value) => value.split(', ')).join('|');
}
