/**
 * One instance of one of the demo's services. Its answers name it and show the request as it arrived, so that a
 * terminal is enough to see what the gateway chose and what it changed.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Clock, Random } from '../clock.ts';
import http from '../node-http.ts';
import { lookUp } from './records.ts';

export interface ServiceOptions {
  readonly name: string;
  readonly port: number;
  /** Each answer waits for so long. */
  readonly slowMs: number;
  /** Share of requests that fail with 503; /healthz never does, as with services in real life. */
  readonly flaky: number;
}

export function createService(options: ServiceOptions, clock: Clock, random: Random): Server {
  return http.createServer((request, response) => {
    const path = (request.url ?? '/').split('?', 1)[0] ?? '/';
    if (path === '/healthz') return send(response, 200, { status: 'ok' });
    const respond = () => {
      if (random() < options.flaky) return send(response, 503, answer(options, request, { error: 'out of luck' }));
      const data = lookUp(options.name, path);
      if (data === undefined) return send(response, 404, answer(options, request, { error: 'no such id' }));
      send(response, 200, answer(options, request, { data }));
    };
    request.resume(); // a body is welcome and not looked at
    if (options.slowMs > 0) clock.after(options.slowMs, respond);
    else respond();
  });
}

function answer({ name, port }: ServiceOptions, request: IncomingMessage, result: object): object {
  const { method, url: path, headers } = request;
  return { instance: { service: name, port, pid: process.pid }, ...result, request: { method, path, headers } };
}

function send(response: ServerResponse, status: number, value: object): void {
  const body = Buffer.from(`${JSON.stringify(value, null, 2)}\n`);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': body.length });
  response.end(body);
}
