import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import type { FallbackConfig } from '../../src/config/failover-schema.ts';
import type { Config } from '../../src/config/schema.ts';
import type { PluginContext } from '../../src/extension.ts';
import { GatewayError } from '../../src/errors.ts';
import type { Pool } from '../../src/upstream/pool.ts';
import { FakeClock } from '../../test/support/fake-clock.ts';
import { Heard, Scripted, type Play, type ScriptedOptions } from '../../test/support/scripted-dispatch.ts';
import fallback from './index.ts';

const POOL: FallbackConfig = { pool: 'standby', on: ['unavailable', 'connect'] };
const ANSWER: FallbackConfig = {
  answer: { status: 200, body: 'sorry', headers: {} },
  on: ['unavailable', 'connect', 503],
};

/** Sends one request down the layer to a script; its pool is `scripted`. */
function send(
  script: readonly Play[],
  configs: Readonly<Record<string, FallbackConfig>>,
  { exchange = {}, ...options }: Partial<ScriptedOptions> & { exchange?: object } = {},
) {
  const scripted = new Scripted(script, { clock: new FakeClock(), ...options });
  Object.assign(scripted.request.exchange, exchange);
  const heard = new Heard();
  const counts: Record<string, number> = { pool: 0, answer: 0 };
  const context = {
    config: {
      pools: Object.entries(configs).map(([name, config]) => ({ name, fallback: config })),
    } as unknown as Config,
    pool: (name: string) => ({ ...scripted.request.pool, name }) as Pool,
    counter: (_: string, to: string) => ({ increment: () => void (counts[to]! += 1) }),
  } as unknown as PluginContext;
  fallback.create(undefined, context).layer!(scripted.dispatch)(scripted.request, heard);
  return { scripted, heard, counts, request: scripted.request };
}

describe('a fallback', () => {
  it('leaves what the pool answers as it is', () => {
    const { heard, request, counts } = send([200], { scripted: POOL });
    expect(heard.events).toEqual(['start', 'head 200', 'body of 200', 'end']);
    expect(request.fallback).toBeUndefined();
    expect(counts).toEqual({ pool: 0, answer: 0 });
  });

  it.each([
    'destination_unavailable',
    'connection_refused',
    'dns_error',
    'connection_timeout',
    'tls_certificate_error',
  ] as const)('to another pool is made for %s, with a new start among its endpoints', (type) => {
    const { heard, request, counts } = send([type, 200], { scripted: POOL }, { method: 'POST' });
    expect(heard.events).toEqual(['start', 'head 200', 'body of 200', 'end']);
    expect(request.pool.name).toBe('standby');
    expect(request.tried).toBeUndefined();
    expect(request.fallback).toEqual({ from: 'scripted', because: `scripted ${type}` });
    expect(counts).toEqual({ pool: 1, answer: 0 });
  });

  it.each([
    'http_response_timeout',
    'connection_terminated',
    'connection_limit_reached',
    'http_request_denied',
  ] as const)('is not made for %s unless it is named', (type) => {
    expect(send([type, 200], { scripted: POOL }).heard.error?.type).toBe(type);
  });

  it('is made for what is named, once for each pool on the way', () => {
    const chain = { scripted: { ...POOL, on: ['timeout', 'reset'] }, standby: { ...ANSWER, on: ['reset'] } } as const;
    const { heard, counts, request } = send(
      ['http_response_timeout', 'connection_terminated'],
      chain as unknown as Record<string, FallbackConfig>,
    );
    expect(heard.events).toEqual(['start', 'head 200', 'sorry', 'end']);
    expect(counts).toEqual({ pool: 1, answer: 1 });
    expect(request.fallback).toEqual({ from: 'scripted', because: 'scripted connection_terminated' });
  });

  it('ends with the last error where nothing is left', () => {
    const { heard } = send(['connection_refused', 'destination_unavailable'], { scripted: POOL });
    expect(heard.events).toEqual(['start', 'error destination_unavailable']);
  });

  it('passes nothing on of an answer whose status it is made for, and lets go of it', () => {
    const { heard, scripted } = send([503], { scripted: ANSWER });
    expect(heard.events).toEqual(['start', 'head 200', 'sorry', 'end']);
    expect(scripted.aborted).toHaveLength(1);
  });

  it('is not made once the head has been passed on', () => {
    const play: Play = (one) => {
      one.head(200);
      one.data('half');
      one.fail('connection_terminated');
    };
    const { heard } = send([play, 200], { scripted: { ...ANSWER, on: ['reset'] } });
    expect(heard.events).toEqual(['start', 'head 200', 'half', 'error connection_terminated']);
  });

  it('is not made when there is no time left, unless the answer is at hand', () => {
    expect(send(['connection_refused', 200], { scripted: POOL }, { headMs: 0 }).heard.error?.type).toBe(
      'connection_refused',
    );
    expect(send(['connection_refused'], { scripted: ANSWER }, { headMs: 0 }).heard.events).toContain('sorry');
  });

  it('sends a body to another pool only while nothing of it was read', () => {
    const read = new PassThrough();
    read.end('order');
    read.read();
    expect(
      send(['connection_refused', 200], { scripted: POOL }, { method: 'PUT', body: read }).heard.error,
    ).toBeDefined();
    const unread = new PassThrough();
    unread.end('order');
    const { heard } = send(['connection_refused', 200], { scripted: POOL }, { method: 'PUT', body: unread });
    expect(heard.events).toContain('head 200');
  });

  it('is no answer of ours to a call of gRPC or a WebSocket: its client would not understand it', () => {
    const call = send(['connection_refused'], { scripted: ANSWER }, { exchange: { grpc: {} } });
    expect(call.heard.events).toEqual(['start', 'error connection_refused']);
    const moved = send(['connection_refused', 200], { scripted: POOL }, { exchange: { grpc: {} } });
    expect(moved.heard.events).toContain('head 200');
  });

  it('ends with the client, whichever pool is asked', () => {
    const { heard, scripted } = send(['connection_refused', 'hang'], { scripted: POOL });
    const left = new GatewayError('connection_terminated', 'the client left');
    heard.control!.abort(left);
    expect(scripted.aborted).toEqual([left]);
    expect(heard.events).toEqual(['start', 'error connection_terminated']);
  });
});

describe('it is on a route', () => {
  const pools = [{ name: 'orders', fallback: POOL }, { name: 'standby' }];
  it.each([
    [{ pool: 'orders' }, true],
    [{ pool: 'standby' }, false],
    [{ split: [] }, true],
    [{ redirect: {} }, false],
    [{ pool: 'orders', fallback: false }, false],
  ])('%j: %j', (route, expected) => {
    expect(fallback.implied!(route as never, { pools } as never)).toBe(expected);
  });

  it('not where the route turns it off', () => {
    expect(fallback.create(false, {} as never)).toEqual({});
  });
});
