/** The small answer over TLS and HTTP/2, and calls of gRPC: what a protocol costs the proxy that ends it. */
import { MESSAGE } from '../answer.ts';
import { makeCertificate } from '../certificate.ts';
import { fastifyHttpProxy } from '../contestants/fastify-http-proxy.ts';
import { grpcService } from '../contestants/floor.ts';
import type { Wire } from '../contestants/contestant.ts';
import { HTTP2_CONNECTIONS, STREAMS } from '../load-http2.ts';
import { freePorts, LOAD_CORE, start } from '../process.ts';
import { race } from '../race.ts';
import { grpcCalls, http1Requests, http2Requests, type Traffic } from '../traffic.ts';
import { compared, costs, type Bench, type Budget, type Findings, type Scenario } from './scenario.ts';

const SHAPE = `${HTTP2_CONNECTIONS} connections × ${STREAMS} streams`;
const SERVICES = 3;
const CALL = '/bench.Orders/Get';

export const tls: Scenario = {
  name: 'tls',
  title: 'The small answer over TLS (HTTP/1.1), 64 kept-alive connections',
  run: (bench) => compare(bench, { tls: makeCertificate(bench.dir) }, http1Requests()),
};

export const http2: Scenario = {
  name: 'http2',
  title: `The small answer over HTTP/2 without TLS, ${SHAPE}`,
  run: (bench) =>
    compare(bench, { http2: true }, http2Requests(), (cost) => [
      { promise: 'HTTP/2 to nginx', atMost: 1.6, found: cost('aya') / cost('nginx') },
    ]),
};

export const http2Tls: Scenario = {
  name: 'http2-tls',
  title: `The small answer over HTTP/2 with TLS, ${SHAPE}`,
  run: (bench) => compare(bench, { http2: true, tls: makeCertificate(bench.dir) }, http2Requests()),
};

export const grpc: Scenario = {
  name: 'grpc',
  title: `Unary calls of gRPC without TLS, HTTP/2 on both sides, ${SHAPE}`,
  async run(bench) {
    const origins = await freePorts(SERVICES);
    const wire = { http2: true, grpc: true };
    const service = start('grpc-service', grpcService(origins), bench.dir, LOAD_CORE);
    try {
      return await compare({ ...bench, origins }, wire, grpcCalls(MESSAGE));
    } finally {
      await service.stop();
    }
  },
};

async function compare(
  bench: Bench,
  wire: Wire,
  traffic: Traffic,
  budgets: (cost: (name: string) => number) => Budget[] = () => [],
): Promise<Findings> {
  // It speaks HTTP/1.1 alone, and its README does not end TLS.
  const contestants = bench.contestants.filter(({ name }) => name !== fastifyHttpProxy.name);
  const path = wire.grpc === true ? CALL : '/';
  const entrants = contestants.map((contestant) => ({ ...contestant, path, wire, traffic }));
  const results = await race(entrants, bench);
  const cost = costs(results);
  return { ...compared(results, 'to the floor', cost('floor')), budgets: budgets(cost), figures: results };
}
