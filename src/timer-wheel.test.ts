import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../test/support/fake-clock.ts';
import { seededRandom, systemClock } from './clock.ts';
import { Deadline, TimerWheel } from './timer-wheel.ts';

const TICK = 10;

class Alarm extends Deadline {
  firedAt: number | undefined;
  readonly #onFire: () => void;

  constructor(onFire: () => void = () => {}) {
    super();
    this.#onFire = onFire;
  }

  override onDue(now: number): void {
    this.firedAt = now;
    this.#onFire();
  }
}

function wheelAt(startMs = 1_000_003) {
  const clock = new FakeClock(startMs);
  return { clock, wheel: new TimerWheel(clock, TICK) };
}

describe('a deadline', () => {
  it('fires once, never early and within two ticks', () => {
    const random = seededRandom(3);
    const { clock, wheel } = wheelAt();
    const start = clock.now();
    const alarms = Array.from({ length: 500 }, () => ({ alarm: new Alarm(), after: random() * 20_000 }));
    for (const { alarm, after } of alarms) wheel.set(alarm, start + after);
    clock.advance(21_000);
    for (const { alarm, after } of alarms) {
      expect(alarm.firedAt).toBeGreaterThanOrEqual(start + after);
      expect(alarm.firedAt).toBeLessThanOrEqual(start + after + 2 * TICK);
    }
  });

  it('that was cleared does not fire', () => {
    const { clock, wheel } = wheelAt();
    const alarm = new Alarm();
    wheel.set(alarm, clock.now() + 50);
    wheel.clear(alarm);
    wheel.clear(alarm);
    clock.advance(1000);
    expect(alarm.firedAt).toBeUndefined();
  });

  it('can be moved, later and earlier', () => {
    const { clock, wheel } = wheelAt();
    const start = clock.now();
    const [later, earlier] = [new Alarm(), new Alarm()];
    wheel.set(later, start + 50);
    wheel.set(later, start + 7000);
    wheel.set(earlier, start + 7000);
    wheel.set(earlier, start + 50);
    clock.advance(100);
    expect(later.firedAt).toBeUndefined();
    expect(earlier.firedAt).toBeLessThanOrEqual(start + 50 + 2 * TICK);
    clock.advance(7000);
    expect(later.firedAt).toBeLessThanOrEqual(start + 7000 + 2 * TICK);
  });

  it('may set itself again and clear those that are due with it', () => {
    const { clock, wheel } = wheelAt();
    const due = clock.now() + 50;
    const neighbours = [new Alarm(), new Alarm(), new Alarm()];
    let count = 0;
    const again: Alarm = new Alarm(() => {
      for (const neighbour of neighbours) wheel.clear(neighbour);
      if (++count < 3) wheel.set(again, clock.now() + 50);
    });
    wheel.set(again, due);
    for (const neighbour of neighbours) wheel.set(neighbour, due);
    clock.advance(1000);
    expect(count).toBe(3);
    expect(neighbours.map(({ firedAt }) => firedAt)).toEqual([undefined, undefined, undefined]);
  });

  it('fires after the wheel has stood still', () => {
    const { clock, wheel } = wheelAt();
    const [first, second] = [new Alarm(), new Alarm()];
    wheel.set(first, clock.now() + 20);
    clock.advance(60_000);
    wheel.set(second, clock.now() + 20);
    clock.advance(60);
    expect(first.firedAt).toBeDefined();
    expect(second.firedAt).toBeDefined();
  });
});

describe('a thread that was held up', () => {
  it('reads what has arrived meanwhile before it finds that a deadline was missed', async () => {
    const events: string[] = [];
    const server = createServer((socket) => void socket.on('data', () => events.push('answer')).on('error', () => {}));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
    await Promise.all([once(client, 'connect'), once(server, 'connection')]);
    const wheel = new TimerWheel(systemClock, TICK);
    const fired = new Promise<void>((resolve) => {
      wheel.set(new Alarm(() => resolve(void events.push('deadline'))), systemClock.now() + 3 * TICK);
    });
    client.write('in time');
    const until = systemClock.now() + 20 * TICK;
    while (systemClock.now() < until);
    await fired;
    client.destroy();
    server.close();
    expect(events).toEqual(['answer', 'deadline']);
  });
});
