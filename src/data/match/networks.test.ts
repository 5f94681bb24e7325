import { describe, expect, it } from 'vitest';
import { compileNetworks } from './networks.ts';

describe('networks', () => {
  it.each([
    ['10.0.0.0/8', '10.255.0.1', true],
    ['10.0.0.0/8', '11.0.0.1', false],
    ['10.1.2.3/8', '10.9.9.9', true],
    ['192.168.1.7', '192.168.1.7', true],
    ['192.168.1.7', '192.168.1.8', false],
    ['0.0.0.0/0', '255.255.255.255', true],
    ['200.0.0.0/7', '201.1.1.1', true],
    ['10.0.0.0/8', '::ffff:10.1.1.1', true],
    ['10.0.0.0/8', '::ffff:0a01:0101', true],
    ['::ffff:10.0.0.0/104', '10.1.1.1', true],
    ['2001:db8::/32', '2001:db8:1::5', true],
    ['2001:db8::/32', '2001:db9::5', false],
    ['::/0', '10.0.0.1', false],
    ['0.0.0.0/0', '::1', false],
    ['10.0.0.0/8', '10.0.0.256', false],
    ['10.0.0.0/8', '10.0.0', false],
    ['10.0.0.0/8', '', false],
    ['fe80::/10', 'fe80::1%eth0', true],
    ['fe80::/10', 'fe80::1%br-lan.100', true],
    ['10.0.0.0/8', 'fe80::1%br-lan.100', false],
  ])('%s: is %s in it? %s', (network, address, expected) => {
    expect(compileNetworks([network]).contains(address)).toBe(expected);
  });

  it('one of several is enough', () => {
    const networks = compileNetworks(['10.0.0.0/8', 'fd00::/8', '192.0.2.1']);
    expect(['10.1.1.1', 'fd12::1', '192.0.2.1', '192.0.2.2'].map((address) => networks.contains(address))).toEqual([
      true,
      true,
      true,
      false,
    ]);
  });

  it.each([
    '',
    'x',
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0.0/-1',
    '10.0.0.0/8/8',
    '10.0.0/8',
    '::/129',
    '1/8',
    '0x0a000001',
  ])('%j is none', (text) => expect(() => compileNetworks([text])).toThrow('is not a network'));
});
