import { PassThrough, type Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import Value from 'typebox/value';
import { seededRandom } from '../../src/clock.ts';
import type { PluginContext } from '../../src/extension.ts';
import { codeOf, type GrpcStatus } from '../../src/grpc/status.ts';
import { Counted } from '../../test/support/budget.ts';
import { FakeClock } from '../../test/support/fake-clock.ts';
import { Heard, Scripted, type Play } from '../../test/support/scripted-dispatch.ts';
import { until } from '../../test/support/until.ts';
import retry from './index.ts';
import schema, { type RetryConfig } from './schema.ts';

const DEFAULTS = Value.Decode(schema, Value.Default(schema, undefined)) as RetryConfig;

/** A call of gRPC, which is a POST of a body that nobody knows the length of. */
function call(script: readonly Play[], config: Partial<RetryConfig> = {}) {
  const clock = new FakeClock();
  const body = new PassThrough();
  const scripted = new Scripted(script, { clock, method: 'POST', body });
  const grpc: { status: number | undefined } = { status: undefined };
  Object.assign(scripted.request.exchange, { grpc });
  const heard = new Heard();
  const { counter } = new Counted();
  const context = { clock, random: seededRandom(1), counter } as unknown as PluginContext;
  retry.create({ ...DEFAULTS, ...config }, context).layer!(scripted.dispatch)(scripted.request, heard);
  return { clock, body, scripted, grpc, heard, tries: () => scripted.tried.length };
}

/** An answer without a message, whose head says how the call ended. */
const ends =
  (status: GrpcStatus): Play =>
  (scripted, { exchange }) => {
    exchange.grpc!.status = codeOf(status);
    scripted.answer(200);
  };

/** Reads what a try is given, as an upstream does, until it stops. */
function read(body: unknown) {
  const got = { text: '', ended: false, stop };
  const stream = body as Readable;
  const onData = (chunk: Buffer) => void (got.text += chunk.toString());
  stream.on('data', onData).on('end', () => (got.ended = true));
  stream.resume();
  function stop(): void {
    stream.off('data', onData).pause();
  }
  return got;
}

describe('calls of gRPC', () => {
  it.each([
    ['grpc-unavailable', 'UNAVAILABLE'],
    ['grpc-resource-exhausted', 'RESOURCE_EXHAUSTED'],
    ['grpc-internal', 'INTERNAL'],
    ['grpc-cancelled', 'CANCELLED'],
    ['grpc-deadline-exceeded', 'DEADLINE_EXCEEDED'],
  ] as const)('are tried again for %s where the route says so', (word, status) => {
    const named = call([ends(status), ends('OK')], { on: [word] });
    named.clock.advance(25);
    expect(named.tries()).toBe(2);
    const unnamed = call([ends(status), ends('OK')]);
    unnamed.clock.advance(1_000);
    expect(unnamed.tries()).toBe(1);
    expect(unnamed.heard.events).toEqual(['start', 'head 200', 'body of 200', 'end']);
  });

  it('are not tried again for a status that is not named, or once there is a message', () => {
    for (const play of [ends('NOT_FOUND'), ends('OK'), 200] as const) {
      const { clock, tries } = call([play, ends('OK')], { on: ['grpc-unavailable'] });
      clock.advance(1_000);
      expect(tries()).toBe(1);
    }
  });

  it('are tried again within the budget', () => {
    const { clock, tries } = call([ends('UNAVAILABLE')], { on: ['grpc-unavailable'], attempts: 10, budget: 0 });
    clock.advance(10_000);
    expect(tries()).toBeLessThanOrEqual(4);
  });

  it('send again what had been sent, and the rest behind it', async () => {
    let first: ReturnType<typeof read> | undefined;
    let refuse = (): void => {};
    const { body, scripted, tries } = call([
      (scripted, request) => {
        first = read(request.body);
        refuse = () => {
          first!.stop();
          scripted.fail('connection_refused');
        };
      },
      'hang',
    ]);
    body.write('one ');
    await until(() => first?.text === 'one ', 'the first try has what came');
    refuse();
    expect(tries()).toBe(2);
    const second = read(scripted.bodies[1]);
    body.end('two');
    await until(() => second.ended, 'the second try has it all');
    expect(second.text).toBe('one two');
    expect(first!.text).toBe('one ');
  });

  it('send again a body that had ended', async () => {
    let first: ReturnType<typeof read> | undefined;
    let refuse = (): void => {};
    const { body, scripted } = call([
      (scripted, request) => {
        first = read(request.body);
        refuse = () => {
          first!.stop();
          scripted.fail('connection_refused');
        };
      },
      'hang',
    ]);
    body.end('all');
    await until(() => first?.ended === true, 'the first try has it all');
    refuse();
    const second = read(scripted.bodies[1]);
    await until(() => second.ended, 'the second has it too');
    expect(second.text).toBe('all');
  });

  it('send what the connection has put back, where it kept all of it', () => {
    const whole = Buffer.from('all');
    const { scripted, tries } = call([
      (scripted, request) => {
        request.body = whole;
        scripted.fail('connection_refused');
      },
      'hang',
    ]);
    expect(tries()).toBe(2);
    expect(scripted.bodies[1]).toBe(whole);
  });

  it('are not tried again when more was sent than is kept', async () => {
    let first: ReturnType<typeof read> | undefined;
    let refuse = (): void => {};
    const { body, tries, heard } = call(
      [
        (scripted, request) => {
          first = read(request.body);
          refuse = () => {
            first!.stop();
            scripted.fail('connection_refused');
          };
        },
        'hang',
      ],
      { maxBody: 10 },
    );
    body.write('eleven byte');
    await until(() => first?.text === 'eleven byte', 'it has passed');
    refuse();
    expect(tries()).toBe(1);
    expect(heard.events).toEqual(['start', 'error connection_refused']);
  });

  it('are read no faster than the upstream takes them, also on a further try', async () => {
    for (const script of [['hang'], ['connection_refused', 'hang']] as const) {
      const { body, tries } = call(script);
      expect(tries()).toBe(script.length);
      const chunk = Buffer.alloc(16 * 1024);
      let written = 0;
      while (written < 100 && body.write(chunk)) written++;
      await new Promise((resolve) => setImmediate(resolve));
      expect(written).toBeLessThan(100);
    }
  });
});
