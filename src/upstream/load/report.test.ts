import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../clock.ts';
import { decodeReport } from './binary.ts';
import { MAX_REPORT_LENGTH, parseReport, utilizationOf } from './report.ts';

const NONE = { application: 0, cpu: 0, rate: 0, errorRate: 0 };

/** Fields of OrcaLoadReport, in base64. */
function binary(...fields: (readonly [field: number, value: number])[]): string {
  const parts = fields.map(([field, value]) => {
    const bytes = Buffer.alloc(9);
    bytes[0] = field * 8 + 1;
    bytes.writeDoubleLE(value, 1);
    return bytes;
  });
  return Buffer.concat(parts).toString('base64');
}

/** An entry of a map. */
function entry(field: number, name: string, value: number): Buffer {
  const number = Buffer.alloc(9);
  number[0] = 2 * 8 + 1;
  number.writeDoubleLE(value, 1);
  const inner = Buffer.concat([Buffer.from([1 * 8 + 2, name.length]), Buffer.from(name), number]);
  return Buffer.concat([Buffer.from([field * 8 + 2, inner.length]), inner]);
}

describe('a load report', () => {
  const whole = {
    ...{ application: 0.6, cpu: 0.3, rate: 80, errorRate: 2 },
    named: new Map([
      ['named_metrics.queue', 0.4],
      ['utilization.threads', 0.9],
    ]),
  };

  it.each([
    [
      'TEXT',
      'TEXT cpu_utilization=0.3, application_utilization=0.6,rps_fractional=80,eps=2e0, mem_utilization=0.1,named_metrics.queue=0.4,utilization.threads=0.9',
    ],
    [
      'JSON',
      'JSON {"cpu_utilization":0.3,"application_utilization":0.6,"rps_fractional":80,"eps":2,"request_cost":{"a":-1},"named_metrics":{"queue":0.4},"utilization":{"threads":0.9}}',
    ],
    [
      'JSON as protobuf writes it',
      'JSON {"cpuUtilization":0.3,"applicationUtilization":0.6,"rpsFractional":80,"eps":2,"namedMetrics":{"queue":0.4},"utilization":{"threads":0.9}}',
    ],
  ])('is read as %s', (_, value) => {
    expect(parseReport(value)).toEqual(whole);
  });

  it('is read as protobuf, whose unknown fields are skipped', () => {
    const fields = Buffer.from(binary([1, 0.3], [9, 0.6], [6, 80], [7, 2], [2, 0.1]), 'base64');
    const rps = Buffer.from([3 * 8, 0x80, 0x01]);
    const fixed32 = Buffer.from([15 * 8 + 5, 1, 2, 3, 4]);
    const maps = [entry(8, 'queue', 0.4), entry(5, 'threads', 0.9), entry(4, 'cost', -5)];
    expect(decodeReport(Buffer.concat([fields, rps, fixed32, ...maps]).toString('base64'))).toEqual(whole);
  });

  it('may go without the word TEXT, and rps_fractional wins over rps', () => {
    expect(parseReport('cpu_utilization=0.5')).toEqual({ ...NONE, cpu: 0.5, named: new Map() });
    for (const value of ['rps=3,rps_fractional=7', 'rps_fractional=7,rps=3']) expect(parseReport(value)!.rate).toBe(7);
  });

  it.each([
    ['empty', ''],
    ['of one word', 'TEXT'],
    ['without anything known', 'TEXT colour=3'],
    ['not a number', 'TEXT cpu_utilization=NaN'],
    ['without end', 'TEXT cpu_utilization=Infinity'],
    ['of words', 'TEXT cpu_utilization=high'],
    ['of nothing', 'TEXT cpu_utilization='],
    ['hexadecimal', 'TEXT cpu_utilization=0x10'],
    ['negative', 'TEXT cpu_utilization=-0.1'],
    ['beyond all measure', 'TEXT cpu_utilization=1e308'],
    ['beyond numbers', 'TEXT cpu_utilization=1e999'],
    ['said twice', 'TEXT cpu_utilization=0.1,cpu_utilization=0.2'],
    ['half', 'TEXT cpu_utilization=0.1,eps'],
    ['with one bad number', 'TEXT cpu_utilization=0.1,eps=-1'],
    ['too long', `TEXT cpu_utilization=0.1,${'a'.repeat(MAX_REPORT_LENGTH)}=1`],
    ['of too many metrics', `TEXT ${Array.from({ length: 99 }, (_, at) => `named_metrics.${at}=1`).join(',')}`],
    ['JSON cut off', 'JSON {"cpu_utilization":0.1'],
    ['a list', 'JSON [0.1]'],
    ['null', 'JSON null'],
    ['a number in quotes', 'JSON {"cpu_utilization":"0.1"}'],
    ['JSON that is too large', 'JSON {"cpu_utilization":1e999}'],
    ['JSON that is negative', 'JSON {"eps":-1}'],
    ['nested', 'JSON {"cpu_utilization":{"a":0.1}}'],
    ['nested in a map', 'JSON {"named_metrics":{"a":{"b":1}}}'],
    ['a map that is none', 'JSON {"named_metrics":3}'],
    ['nested a thousand times', `JSON ${'{"a":'.repeat(500)}1${'}'.repeat(500)}`],
    ['about prototypes', 'JSON {"__proto__":{"cpu_utilization":0.1},"constructor":1}'],
    ['said twice in two spellings', 'JSON {"cpu_utilization":0.1,"cpuUtilization":0.2}'],
  ])('that is %s is none', (_, value) => {
    expect(parseReport(value)).toBeUndefined();
  });

  it.each([
    ['no base64', '%%%'],
    ['empty', ''],
    ['cut off', binary([1, 0.3]).slice(0, 8)],
    ['not a number', binary([1, NaN])],
    ['without end', binary([1, Infinity])],
    ['negative', binary([7, -1])],
    ['said twice', binary([1, 0.1], [1, 0.2])],
    ['longer than it is', Buffer.from([8 * 8 + 2, 0xff, 0xff, 0xff, 0xff, 0x0f]).toString('base64')],
    ['of a length beyond numbers', Buffer.from([8 * 8 + 2, ...Array<number>(12).fill(0xff)]).toString('base64')],
    ['a group', Buffer.from([8 * 8 + 3]).toString('base64')],
    ['field 0', Buffer.from([2, 0]).toString('base64')],
  ])('in protobuf that is %s is none', (_, value) => {
    expect(decodeReport(value)).toBeUndefined();
  });

  it('never throws and never yields what is no measurement, whatever the bytes', () => {
    const random = seededRandom(7);
    const seeds = [
      'TEXT cpu_utilization=0.3,eps=1',
      'JSON {"cpu_utilization":0.3,"named_metrics":{"a":1}}',
      binary([1, 0.3], [6, 80]),
    ];
    let read = 0;
    for (let round = 0; round < 20_000; round++) {
      const bytes = Buffer.from(seeds[round % seeds.length]!, 'latin1');
      for (let edit = 0; edit <= round % 4; edit++) {
        bytes[Math.floor(random() * bytes.length)] = 32 + Math.floor(random() * 95);
      }
      const value = bytes.toString('latin1');
      const report = round % 3 === 2 ? decodeReport(value) : parseReport(value);
      if (report === undefined) continue;
      read++;
      const numbers = [report.application, report.cpu, report.rate, report.errorRate, ...report.named.values()];
      expect(numbers.every((number) => number >= 0 && number <= 1e9)).toBe(true);
    }
    expect(read).toBeGreaterThan(1_000);
  });
});

describe('utilisation', () => {
  const report = (text: string) => parseReport(text)!;
  const metrics = ['named_metrics.a', 'named_metrics.b'];

  it('is what the application measures; else the busiest of the named metrics; else the processor', () => {
    expect(utilizationOf(report('application_utilization=0.2,named_metrics.a=0.9,cpu_utilization=0.8'), metrics)).toBe(
      0.2,
    );
    expect(
      utilizationOf(report('named_metrics.a=0.3,named_metrics.b=0.5,named_metrics.c=0.9,cpu_utilization=0.8'), metrics),
    ).toBe(0.5);
    expect(utilizationOf(report('named_metrics.c=0.9,cpu_utilization=0.8'), metrics)).toBe(0.8);
    expect(utilizationOf(report('rps_fractional=3'), metrics)).toBe(0);
  });
});
