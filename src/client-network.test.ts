import { describe, expect, it } from 'vitest';
import { networkOf } from './client-network.ts';

describe('the network of an address', () => {
  it.each([
    ['203.0.113.7', '203.0.113.7'],
    ['::ffff:203.0.113.7', '203.0.113.7'],
    ['::FFFF:cb00:7107', '203.0.113.7'],
    ['0:0:0:0:0:ffff:203.0.113.7', '203.0.113.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::'],
    ['2001:0DB8:0001:0002::', '2001:db8:1:2::'],
    ['2001:db8::1', '2001:db8:0:0::'],
    ['::1', '0:0:0:0::'],
    ['fe80::1%eth0', 'fe80:0:0:0::'],
    ['fe80::1%br-lan.100', 'fe80:0:0:0::'],
    ['64:ff9b::203.0.113.7', '64:ff9b:0:0::'],
  ])('of %s is %s', (address, network) => {
    expect(networkOf(address)).toBe(network);
  });

  it.each(['unknown', '1::2::3', '2001:db8', '1:2:3:4:5:6:7:8:9', 'g::1', '12345::', ''])(
    'of what is no address (%s) is what it is',
    (text) => {
      expect(networkOf(text)).toBe(text);
    },
  );
});
