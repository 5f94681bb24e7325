/**
 * Is an address in one of these networks? Compiled once; an IPv4 address costs a loop over its characters and one
 * compare per network. IPv4-mapped IPv6 (`::ffff:10.0.0.1`) is IPv4, in the networks as in the addresses.
 */
import { isIPv6 } from 'node:net';
import ipaddr from 'ipaddr.js';

export interface Networks {
  readonly texts: readonly string[];
  contains(address: string): boolean;
}

/** @param texts `10.0.0.0/8`, `2001:db8::/32`, or one address. @throws Error that names the text that is neither. */
export function compileNetworks(texts: readonly string[]): Networks {
  const bases: number[] = [];
  const masks: number[] = [];
  const wide: [ipaddr.IPv6, number][] = [];
  for (const text of texts) {
    const [address, bits] = parseNetwork(text);
    if (address instanceof ipaddr.IPv6) {
      wide.push([address, bits]);
    } else {
      const mask = bits === 0 ? 0 : -1 << (32 - bits);
      bases.push(parseIPv4(address.toString()) & mask);
      masks.push(mask);
    }
  }

  const containsNarrow = (address: number): boolean => {
    for (let at = 0; at < masks.length; at++) {
      if ((address & (masks[at] as number)) === bases[at]) return true;
    }
    return false;
  };

  return {
    texts,
    contains(address) {
      const narrow = parseIPv4(address.startsWith('::ffff:') ? address.slice(7) : address);
      if (narrow !== -1) return containsNarrow(narrow);
      if (!isIPv6(address)) return false;
      // Without its zone (RFC 4007 §11): that is an interface of this machine, whose name may be one that cannot be parsed.
      const parsed = ipaddr.IPv6.parse(address.split('%', 1)[0]!);
      if (parsed.isIPv4MappedAddress()) return containsNarrow(parseIPv4(parsed.toIPv4Address().toString()));
      return wide.some(([base, bits]) => parsed.match(base, bits));
    },
  };
}

const MAPPED_BITS = 96;

function parseNetwork(text: string): [ipaddr.IPv4 | ipaddr.IPv6, number] {
  const [written = '', length] = text.split('/');
  if (!ipaddr.isValid(written) || (!written.includes(':') && parseIPv4(written) === -1)) {
    throw new Error(`'${text}' is not a network: write 10.0.0.0/8, 2001:db8::/32 or an address`);
  }
  const address = ipaddr.parse(written);
  const most = address.kind() === 'ipv4' ? 32 : 128;
  const bits = length === undefined ? most : /^\d{1,3}$/.test(length) ? Number(length) : NaN;
  if (!(bits <= most) || text.split('/').length > 2) {
    throw new Error(`'${text}' is not a network: its prefix length is a number from 0 to ${most}`);
  }
  if (address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress() && bits >= MAPPED_BITS) {
    return [address.toIPv4Address(), bits - MAPPED_BITS];
  }
  return [address, bits];
}

/** An unsigned 32-bit number; -1 when it is not four decimal numbers. */
function parseIPv4(text: string): number {
  if (text.length > 15) return -1;
  let address = 0;
  let part = -1;
  let dots = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x2e) {
      if (part === -1 || ++dots > 3) return -1;
      address = address * 256 + part;
      part = -1;
    } else {
      const digit = code - 0x30;
      if (digit < 0 || digit > 9) return -1;
      part = part === -1 ? digit : part * 10 + digit;
      if (part > 255) return -1;
    }
  }
  return dots === 3 && part !== -1 ? address * 256 + part : -1;
}
