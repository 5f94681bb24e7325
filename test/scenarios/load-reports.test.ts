/** Endpoints that report their load, and agents that speak for them; a gateway with two threads. */
import { createServer, type AddressInfo, type Server } from 'node:net';
import { beforeAll, expect, it } from 'vitest';
import { cleanup } from '../support/cleanup.ts';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';
import { metric } from '../support/metrics.ts';
import { ask, RawConnection, request } from '../support/raw-client.ts';
import { until } from '../support/until.ts';
import { echo, startUpstream, type Answer, type Upstream } from '../support/upstream.ts';

/** What an endpoint sends along; a test may change it. */
interface Service {
  readonly upstream: Upstream;
  fields: Readonly<Record<string, string | string[]>>;
}

async function startService(name: string, fields: Service['fields']): Promise<Service> {
  const answer: Answer = (asked, response, upstream) => {
    for (const [field, value] of Object.entries(service.fields)) response.setHeader(field, value);
    echo(asked, response, upstream);
  };
  const service: Service = { upstream: await startUpstream(name, answer), fields };
  return service;
}

const text = (utilization: number) => ({
  'endpoint-load-metrics': `TEXT cpu_utilization=${utilization},rps_fractional=100`,
});
const json = (utilization: number) => ({
  'Endpoint-Load-Metrics': `JSON ${JSON.stringify({ application_utilization: utilization, rps_fractional: 100 })}`,
});

/** application_utilization and rps_fractional as protobuf. */
function binary(utilization: number): Service['fields'] {
  const message = Buffer.alloc(18);
  message[0] = 9 * 8 + 1;
  message.writeDoubleLE(utilization, 1);
  message[9] = 6 * 8 + 1;
  message.writeDoubleLE(100, 10);
  return { 'endpoint-load-metrics-bin': message.toString('base64') };
}

const HOSTILE: readonly Service['fields'][] = [
  { 'endpoint-load-metrics': 'TEXT cpu_utilization=NaN' },
  { 'endpoint-load-metrics': 'TEXT cpu_utilization=1e308,rps_fractional=1e308' },
  { 'endpoint-load-metrics': 'JSON {"cpu_utilization":-1}' },
  { 'endpoint-load-metrics': `JSON ${'{"a":'.repeat(300)}` },
  { 'endpoint-load-metrics': ['TEXT cpu_utilization=0.1', 'TEXT cpu_utilization=0.9'] },
  { 'endpoint-load-metrics': 'TEXT cpu_utilization=0.1', 'endpoint-load-metrics-bin': 'AAAA' },
  { 'endpoint-load-metrics': `TEXT cpu_utilization=0.1,${'x'.repeat(20_000)}=1` },
];

/** An agent of each host, all on one port, as it is configured. */
interface Agent {
  say: string;
  readonly server: Server;
  listen(): Promise<void>;
}

async function startAgent(host: string, port = 0): Promise<Agent> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (bytes) => socket.end(bytes.toString() === 'load\n' ? `${agent.say}\n` : 'down\n'));
  });
  let at = port;
  const agent: Agent = {
    say: 'ready up 100% maxconn:0',
    server,
    async listen() {
      await new Promise<void>((resolve, reject) => server.once('error', reject).listen(at, host, resolve));
      at = (server.address() as AddressInfo).port;
    },
  };
  await agent.listen();
  cleanup(async () => void server.close());
  return agent;
}

const HOSTS = ['127.0.0.2', '127.0.0.3'];
const services = new Map<string, readonly Service[]>();
let trailing: Upstream;
let guarded: Upstream[];
let agents: Agent[];
let gateway: GatewayFixture;

/** Those whom `/hold` asks, until they are let go. */
const held: (() => void)[] = [];
const holding: Answer = (asked, response, upstream) => {
  if (asked.url === '/guarded/hold') held.push(() => echo(asked, response, upstream));
  else echo(asked, response, upstream);
};

beforeAll(async () => {
  const start = (name: string, fields: readonly Service['fields'][]) =>
    Promise.all(fields.map((each, at) => startService(`${name}-${at}`, each)));
  services.set('weighed', await start('weighed', [text(0.2), json(0.8), binary(0.8)]));
  services.set('fading', await start('fading', [text(0.2), text(0.8)]));
  services.set('hostile', await start('hostile', HOSTILE));
  services.set('plain', await start('plain', [text(0.2), text(0.8)]));
  trailing = await startUpstream('trailing', (_, response) => {
    response.writeHead(200, { trailer: 'endpoint-load-metrics-bin, x-checksum' });
    response.addTrailers({ ...binary(0.7), 'x-checksum': '42' } as Record<string, string>);
    response.end('ok');
  });
  guarded = await Promise.all(HOSTS.map((host) => startUpstream(host, holding, { host, port: 0 })));
  const first = await startAgent(HOSTS[0]!);
  const { port } = first.server.address() as AddressInfo;
  agents = [first, await startAgent(HOSTS[1]!, port)];

  const adaptive = { blackout: '0ms', update: '100ms' };
  const endpoints = (name: string) => services.get(name)!.map(({ upstream }) => upstream.url);
  const names = ['weighed', 'fading', 'hostile', 'plain', 'trailing', 'guarded'];
  gateway = await gatewayFixture({
    gateway: { threads: 2 },
    files: {
      'loads.yaml': {
        pools: {
          weighed: { endpoints: endpoints('weighed'), balance: { adaptive } },
          fading: { endpoints: endpoints('fading'), balance: { adaptive: { ...adaptive, expiration: '400ms' } } },
          hostile: { endpoints: endpoints('hostile'), balance: { adaptive } },
          plain: { endpoints: endpoints('plain'), balance: 'round-robin' },
          trailing: { endpoints: [trailing.url], balance: { adaptive } },
          guarded: {
            endpoints: guarded.map(({ url }) => url),
            balance: 'round-robin',
            health: { agent: { port, interval: '50ms', send: 'load\n' } },
          },
        },
        routes: names.map((name) => ({ name, match: { path: `/${name}/*` }, pool: name, retry: false })),
      },
    },
  });
});

const get = (pool: string) => fetch(`${gateway.url}/${pool}/1`);

/** Who answered how often. */
async function sharesOf(pool: string, count = 60): Promise<Record<string, number>> {
  const answers = await Promise.all(
    Array.from({ length: count }, async () => ((await (await get(pool)).json()) as { instance: string }).instance),
  );
  return Object.fromEntries(
    [...new Set(answers)].map((name) => [name, answers.filter((each) => each === name).length / count]),
  );
}

interface EndpointPage {
  readonly url: string;
  readonly state: string;
  readonly reason: string;
  readonly load?: {
    readonly utilization: number;
    readonly trusted: boolean;
    readonly weight: number;
    readonly malformed: number;
  };
  readonly agent?: { readonly said: string; readonly share: number; readonly failure?: string };
}

async function endpointsOf(pool: string): Promise<readonly EndpointPage[]> {
  const { pools } = JSON.parse((await gateway.admin('/pools')).body) as {
    pools: { name: string; endpoints: EndpointPage[] }[];
  };
  return pools.find(({ name }) => name === pool)!.endpoints;
}

it('who reports less load for the same work gets more of it, in whichever form it reports', async () => {
  const shares = await until(async () => {
    const now = await sharesOf('weighed');
    return (now['weighed-0'] ?? 0) > 0.6 ? now : undefined;
  }, 'most go to the idle one');
  // 4 : 1 : 1
  expect(Math.abs(shares['weighed-1']! - shares['weighed-2']!)).toBeLessThan(0.1);
  const loads = (await endpointsOf('weighed')).map(({ load }) => load!);
  expect(loads.map(({ utilization }) => utilization)).toEqual([0.2, 0.8, 0.8]);
  expect(loads.map(({ weight }) => weight)).toEqual([2, 0.5, 0.5]);
  const [idle] = services.get('weighed')!;
  const labels = `pool="weighed",endpoint="${idle!.upstream.url}"`;
  expect(await metric(gateway, 'aya_endpoint_weight', labels)).toBeCloseTo(2, 5);
  expect(await metric(gateway, 'aya_endpoint_utilization', labels)).toBe(0.2);
  expect(await metric(gateway, 'aya_endpoint_load_reports_total', `${labels},result="counted"`)).toBeGreaterThan(10);
});

it('no report reaches a client where the pool reads them; elsewhere they are fields like others', async () => {
  for (const pool of ['weighed', 'hostile']) {
    for (let time = 0; time < 10; time++) {
      const { headers } = await get(pool);
      expect([...headers.keys()].filter((name) => name.startsWith('endpoint-load'))).toEqual([]);
      expect(headers.get('content-type')).toBe('application/json');
    }
  }
  expect((await get('plain')).headers.get('endpoint-load-metrics')).toMatch(/^TEXT /);
});

it('a report in trailers, as gRPC servers send it, is read and taken out too', async () => {
  const asked = request('GET', '/trailing/1', 'a', ['TE: trailers']);
  const { responses } = await ask(gateway.port, asked);
  expect(responses[0]!.trailers).toEqual(['x-checksum', '42']);
  expect((await endpointsOf('trailing'))[0]!.load).toMatchObject({ utilization: 0.7, malformed: 0 });
});

it('reports that cannot be are counted, and change nothing', async () => {
  await until(async () => {
    await sharesOf('hostile', 30);
    return (await endpointsOf('hostile')).every(({ load }) => load!.malformed > 0);
  }, 'all have been read');
  expect((await endpointsOf('hostile')).map(({ load }) => [load!.weight, load!.trusted])).toEqual(
    HOSTILE.map(() => [1, false]),
  );
  const shares = Object.values(await sharesOf('hostile', 140));
  expect(shares).toHaveLength(HOSTILE.length);
  expect(Math.max(...shares)).toBeLessThan(0.2);
  const { body } = await gateway.admin('/metrics');
  const counted = /aya_endpoint_load_reports_total\{pool="hostile".*result="(.*)"\}/g;
  expect([...body.matchAll(counted)].map(([, result]) => result)).toEqual(HOSTILE.map(() => 'malformed'));
});

it('when nobody reports any more, all are equal again', async () => {
  const isFirstPreferred = async () => ((await sharesOf('fading'))['fading-0'] ?? 0) > 0.7;
  await until(isFirstPreferred, 'the idle one is preferred');
  for (const service of services.get('fading')!) service.fields = {};
  await until(async () => (await endpointsOf('fading')).every(({ load }) => load!.weight === 1), 'reports expire');
  const shares = await sharesOf('fading', 100);
  expect(Math.abs(shares['fading-0']! - 0.5)).toBeLessThan(0.1);
  const told = gateway.logs.filter(({ pool }) => pool === 'fading').map(({ event }) => event);
  expect(told).toEqual(['pool_weighed', 'pool_not_weighed']);
});

/** The first one’s agent says this; the page shows it. */
async function agentSays(at: number, line: string): Promise<EndpointPage> {
  agents[at]!.say = line;
  return until(async () => {
    const page = (await endpointsOf('guarded'))[at]!;
    return page.agent!.said === line ? page : undefined;
  }, `agent ${at} is heard: ${line}`);
}

it('an agent takes weight away, and gives it back', async () => {
  expect(await agentSays(0, '50%')).toMatchObject({ state: 'available', agent: { share: 0.5 } });
  const shares = await sharesOf('guarded', 90);
  expect(shares[HOSTS[0]!]).toBeGreaterThan(0.25);
  expect(shares[HOSTS[0]!]).toBeLessThan(0.42);
  expect(await metric(gateway, 'aya_endpoint_agent_share', guarded[0]!.url)).toBe(0.5);
  await agentSays(0, '100%');
  expect(Math.abs((await sharesOf('guarded', 90))[HOSTS[0]!]! - 0.5)).toBeLessThan(0.1);
});

it('drain and maint end what is new, even where that is everything; ready undoes them', async () => {
  expect(await agentSays(0, 'drain')).toMatchObject({ state: 'resting', reason: 'agent: drain' });
  expect(await sharesOf('guarded')).toEqual({ [HOSTS[1]!]: 1 });
  await agentSays(1, 'maint');
  const answer = await get('guarded');
  expect([answer.status, answer.headers.has('retry-after')]).toEqual([503, true]);
  // `up` is another matter.
  await agentSays(0, 'up');
  expect((await get('guarded')).status).toBe(503);
  for (const at of [0, 1]) expect(await agentSays(at, 'ready')).toMatchObject({ state: 'available' });
  expect(Object.keys(await sharesOf('guarded'))).toHaveLength(2);
});

it('what is down stays down when its agent dies, and only its agent brings it back', async () => {
  const { url } = guarded[0]!;
  expect(await agentSays(0, 'down # disk full')).toMatchObject({ state: 'down', reason: 'agent: down # disk full' });
  expect(await sharesOf('guarded')).toEqual({ [HOSTS[1]!]: 1 });
  await new Promise((resolve) => agents[0]!.server.close(resolve));
  await until(async () => (await endpointsOf('guarded'))[0]!.agent!.failure === 'connection refused', 'it is gone');
  await until(async () => (await metric(gateway, 'aya_endpoint_agent_failures_total', url)) > 3, 'some more questions');
  expect((await endpointsOf('guarded'))[0]!.state).toBe('down');
  const events = gateway.logs.filter(({ endpoint }) => endpoint === url).map(({ event }) => event);
  expect(events.filter((event) => event === 'agent_silent')).toHaveLength(1);
  await agents[0]!.listen();
  expect(await agentSays(0, 'up')).toMatchObject({ state: 'available', agent: { said: 'up' } });
  expect(Object.keys(await sharesOf('guarded'))).toHaveLength(2);
});

it('maxconn bounds what an endpoint has at once: others are asked, and beyond all of them nobody', async () => {
  for (const at of [0, 1]) await agentSays(at, 'maxconn:2');
  const clients: RawConnection[] = [];
  while (held.length < 4) {
    const client = await RawConnection.open(gateway.port);
    clients.push(client);
    client.send(request('GET', '/guarded/hold', 'a'));
    await until(() => held.length === clients.length, 'it is asked');
  }
  const { responses } = await ask(gateway.port, request('GET', '/guarded/1', 'a'));
  expect(responses[0]!.status).toBe(503);
  expect(responses[0]!.field('proxy-status')).toContain('connection_limit_reached');
  for (const letGo of held.splice(0)) letGo();
  for (const client of clients) expect((await client.answer()).status).toBe(200);
  expect((await get('guarded')).status).toBe(200);
});
