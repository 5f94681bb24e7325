/** Which requests a thread records, and when their records leave it. What is in them: test/scenarios/decisions-are-explained. */
import { beforeEach, describe, expect, it } from 'vitest';
import { FakeClock } from '../../../test/support/fake-clock.ts';
import { seededRandom } from '../../clock.ts';
import { GatewayError } from '../../errors.ts';
import type { Exchange } from '../exchange.ts';
import type { DecisionBatch } from './batch.ts';
import { DecisionRecorder } from './recorder.ts';

let clock: FakeClock;
let recorder: DecisionRecorder;
let batches: DecisionBatch[];

beforeEach(() => {
  clock = new FakeClock();
  batches = [];
  recorder = new DecisionRecorder({
    table: undefined as never,
    clock,
    random: seededRandom(7),
    thread: 3,
    send: (batch) => void batches.push(batch),
  });
  recorder.configure({ sample: 0, failures: 10, from: ['10.0.0.0/8'] });
});

/** One that no pool is asked for: a redirect, or a refusal. */
function exchange({ sample = 0, asks = false, fails = false } = {}): Exchange {
  return {
    id: 'a-1',
    rule: { name: 'route', sample },
    head: { explain: asks ? '1' : undefined },
    clientAddress: '10.0.0.1',
    startedAt: clock.now(),
    method: 'GET',
    authority: 'any.test',
    path: '/"é\u2028',
    status: fails ? 503 : 302,
    error: fails ? new GatewayError('destination_unavailable', 'nobody is there') : undefined,
    retries: 0,
    clientLeft: false,
    cache: '',
    record: undefined,
    upstream: undefined,
  } as unknown as Exchange;
}

function serve(kind: Parameters<typeof exchange>[0], times = 1): void {
  for (let time = 0; time < times; time++) {
    const one = exchange(kind);
    recorder.begin(one);
    recorder.end(one, 0.5);
  }
}

const lineCount = () => batches.reduce((sum, batch) => sum + batch.lineCount, 0);
const DRAWN = { sample: 1 };

describe('those that are drawn', () => {
  it('are the share that is written', () => {
    let drawn = 0;
    for (let count = 0; count < 100_000; count++) {
      const one = exchange({ sample: 0.01 });
      recorder.begin(one);
      if (one.record !== undefined) drawn += 1;
    }
    // Three standard deviations.
    expect(Math.abs(drawn - 1000)).toBeLessThan(95);
  });

  it('are lines of the log, of valid JSON whatever clients say', () => {
    serve(DRAWN);
    recorder.flush();
    const { lineCount: count, records } = batches[0]!;
    const lines = Buffer.from(batches[0]!.lines).toString();
    expect([count, records]).toEqual([1, []]);
    expect(lines.endsWith('}\n')).toBe(true);
    expect(JSON.parse(lines)).toEqual({
      level: 30,
      time: new Date(clock.wall()).toISOString(),
      event: 'decision',
      startedAt: new Date(clock.wall() - 0.5).toISOString(),
      thread: 3,
      requestId: 'a-1',
      recorded: ['sampled'],
      method: 'GET',
      host: 'any.test',
      path: '/"é\u2028',
      route: 'route',
      status: 302,
      durationMs: 0.5,
      attempts: [],
      msg: 'decision',
    });
  });

  it('wait half a second for others, and no longer', () => {
    serve(DRAWN);
    clock.advance(499);
    serve(DRAWN);
    expect(batches).toEqual([]);
    clock.advance(1);
    expect(batches.map((batch) => batch.lineCount)).toEqual([2]);
    expect(clock.pending).toBe(0);
  });

  it('go as soon as there are many', () => {
    serve(DRAWN, 96);
    clock.advance(50);
    expect(lineCount()).toBe(96);
  });

  it('are bounded, and counted beyond', () => {
    serve(DRAWN, 1000);
    clock.advance(50);
    serve(DRAWN);
    recorder.flush();
    expect(batches.map((batch) => [batch.lineCount, batch.dropped])).toEqual([
      [160, 840],
      [1, 0],
    ]);
  });

  it('are counted as dropped where they are too long', () => {
    const tooLong = { ...exchange(DRAWN), id: 'x'.repeat(100_000) } as Exchange;
    recorder.begin(tooLong);
    recorder.end(tooLong, 0.5);
    clock.advance(500);
    expect(batches.map((batch) => [batch.lineCount, batch.dropped])).toEqual([[0, 1]]);
  });

  it('are all sent when a thread ends', () => {
    serve(DRAWN, 3);
    recorder.flush();
    expect(lineCount()).toBe(3);
    expect(clock.pending).toBe(0);
    recorder.flush();
    expect(batches).toHaveLength(1);
  });
});

it.each([
  ['fails', { fails: true }, ['failed']],
  ['asks', { asks: true }, ['asked']],
  ['is drawn and fails', { sample: 1, fails: true }, ['sampled', 'failed']],
] as const)('one that %s is a record of its own, and waits for nobody', (_, kind, causes) => {
  serve(DRAWN);
  serve(kind);
  clock.advance(50);
  expect(lineCount()).toBe(1);
  expect(batches[0]!.records.map((record) => record.causes)).toEqual([causes]);
});

it('whoever asks has room when a storm has filled that of others', () => {
  serve({ fails: true }, 200);
  serve({ asks: true });
  recorder.flush();
  expect(batches[0]!.records.at(-1)!.causes).toEqual(['asked']);
  expect(batches[0]!.dropped).toBe(40);
});
