import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeEach, describe, expect, it } from 'vitest';
import { cleanup } from '../../test/support/cleanup.ts';
import { FakeClock } from '../../test/support/fake-clock.ts';
import { until } from '../../test/support/until.ts';
import { LineWriter } from './line-writer.ts';

let file: string;

beforeEach(async () => {
  const dir = await mkdtemp(join(tmpdir(), 'aya-lines-'));
  file = join(dir, 'log');
  cleanup(() => rm(dir, { recursive: true, force: true }));
});

const line = (at: number) => `${JSON.stringify({ at, text: 'é'.repeat(at % 300) })}\n`;

describe('lines', () => {
  it('arrive whole and in order, however many there are', async () => {
    const writer = new LineWriter(file, new FakeClock());
    const lines = Array.from({ length: 5000 }, (_, at) => line(at));
    for (const each of lines) writer.write(each);
    await writer.close();
    expect(await readFile(file, 'utf8')).toBe(lines.join(''));
  });

  it('few as they are, do not wait for more', async () => {
    const clock = new FakeClock();
    const writer = new LineWriter(file, clock);
    writer.write(line(1));
    clock.advance(500);
    await until(async () => (await readFile(file, 'utf8')) === line(1), 'the line');
    await writer.close();
  });

  it('are added to what a file holds', async () => {
    for (const at of [1, 2]) {
      const writer = new LineWriter(file, new FakeClock());
      writer.write(line(at));
      await writer.close();
    }
    expect(await readFile(file, 'utf8')).toBe(line(1) + line(2));
  });

  it('that nobody reads are dropped beyond a bound', async () => {
    const writer = new LineWriter(file, new FakeClock());
    const long = `${'x'.repeat(1024 * 1024)}\n`;
    for (let count = 0; count < 20; count++) writer.write(long);
    await writer.close();
    const kept = (await readFile(file, 'utf8')).split('\n').length - 1;
    expect(kept).toBeLessThan(10);
  });

  it('that were dropped are counted in the next one that finds room', async () => {
    const clock = new FakeClock();
    const writer = new LineWriter(file, clock);
    for (let count = 0; count < 20; count++) writer.write(`${'x'.repeat(1024 * 1024)}\n`);
    clock.advance(500);
    await until(async () => (await readFile(file, 'utf8')).length > 8 * 1024 * 1024, 'room');
    writer.write(line(1));
    await writer.close();
    const last = (await readFile(file, 'utf8')).split('\n').slice(-3);
    expect(JSON.parse(last[0]!)).toMatchObject({ event: 'log_lines_dropped', lines: 12 });
    expect(`${last[1]}\n`).toBe(line(1));
  });
});

it('of two writers on one pipe are not torn', async () => {
  const program = `
    import { systemClock } from './src/clock.ts';
    import { LineWriter } from './src/data/line-writer.ts';
    const writers = ['a', 'b'].map((name) => ({ name, writer: new LineWriter(undefined, systemClock) }));
    for (let at = 0; at < 3000; at++) {
      for (const { name, writer } of writers) writer.write(name.repeat(20 + (at % 400)) + '\\n');
      if (at % 50 === 0) await new Promise(setImmediate);
    }
    for (const { writer } of writers) await writer.close();
  `;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module-typescript', '-e', program], {
    maxBuffer: 16 * 1024 * 1024,
  });
  const torn = stdout.split('\n').filter((text) => !/^(a*|b*)$/.test(text));
  expect(torn).toEqual([]);
  expect(stdout.split('\n')).toHaveLength(6001);
});
