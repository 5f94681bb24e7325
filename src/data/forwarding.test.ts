import { describe, expect, it } from 'vitest';
import { findClientAddress } from './forwarding.ts';
import type { RequestHead } from './head.ts';
import { compileNetworks } from './match/networks.ts';

const trusted = compileNetworks(['10.0.0.0/8', '2001:db8::/32']);
const clientOf = (head: Partial<RequestHead>, peer = '10.0.0.1') =>
  findClientAddress(peer, head as RequestHead, (address) => trusted.contains(address));

describe('the client behind trusted proxies', () => {
  it.each([
    ['the peer, when it says nothing', {}, '10.0.0.1'],
    ['the right-most address that is not trusted', { forwardedFor: '6.6.6.6, 203.0.113.9, 10.2.2.2' }, '203.0.113.9'],
    ['the left-most, when all are trusted', { forwardedFor: '10.9.9.9, 10.2.2.2' }, '10.9.9.9'],
    ['read with ports and brackets', { forwardedFor: '203.0.113.9:4711, [2001:db8::7]:80' }, '203.0.113.9'],
    ['the last good one before junk', { forwardedFor: '203.0.113.9, unknown, 10.3.3.3' }, '10.3.3.3'],
    [
      'found in Forwarded too',
      { forwarded: 'for=6.6.6.6, for="203.0.113.9:80";proto=http, For=10.2.2.2' },
      '203.0.113.9',
    ],
    ['plain when IPv4 was mapped', { forwardedFor: '::ffff:203.0.113.9' }, '203.0.113.9'],
  ])('is %s', (_what, head, expected) => {
    expect(clientOf(head)).toBe(expected);
  });
});
