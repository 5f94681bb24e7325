import { describe, expect, it } from 'vitest';
import { crc32c } from './crc32c.ts';
import { LONGEST_HEADER, MalformedProxyHeader, readProxyHeader } from './proxy-protocol.ts';

const SIGNATURE = '0d0a0d0a000d0a515549540a';
const bytes = (hex: string) => Buffer.from(hex.replaceAll(/\s/g, ''), 'hex');
const uint16 = (value: number) => value.toString(16).padStart(4, '0');

/** @param kind family and transport. @param rest what stands behind the length. */
function binary(kind: string, rest: string, command = '21', length = bytes(rest).length): Buffer {
  return bytes(`${SIGNATURE} ${command} ${kind} ${uint16(length)} ${rest}`);
}

const TCP4 = 'cb007109 c6336401 c000 01bb';
const TCP6 = '20010db8000000000000000000000009 20010db8000000000000000000000001 c000 01bb';
const MAPPED = '00000000000000000000ffffcb007109 00000000000000000000ffffc6336401 c000 01bb';
const UNIX = '2f'.repeat(216);

const IPV4 = { address: '203.0.113.9', port: 49_152, localAddress: '198.51.100.1', localPort: 443 };
const IPV6 = { address: '2001:db8::9', port: 49_152, localAddress: '2001:db8::1', localPort: 443 };

/** Every header that names somebody or nobody, and what follows it. */
const GOOD: [string, Buffer, object | undefined][] = [
  ['1: TCP4', Buffer.from('PROXY TCP4 203.0.113.9 198.51.100.1 49152 443\r\n'), IPV4],
  ['1: TCP6', Buffer.from('PROXY TCP6 2001:DB8:0:0::9 2001:db8::1 49152 443\r\n'), IPV6],
  ['1: TCP6 that is IPv4', Buffer.from('PROXY TCP6 ::ffff:203.0.113.9 ::ffff:198.51.100.1 49152 443\r\n'), IPV4],
  ['1: UNKNOWN', Buffer.from('PROXY UNKNOWN\r\n'), undefined],
  ['1: UNKNOWN with more', Buffer.from(`PROXY UNKNOWN ${'f'.repeat(91)}\r\n`), undefined],
  ['2: TCP4', binary('11', TCP4), IPV4],
  ['2: TCP6', binary('21', TCP6), IPV6],
  ['2: TCP6 that is IPv4', binary('21', MAPPED), IPV4],
  ['2: LOCAL', binary('00', '', '20'), undefined],
  ['2: LOCAL with a block of whatever', binary('ff', 'ffffff', '20'), undefined],
  ['2: UNSPEC', binary('00', ''), undefined],
  ['2: a Unix socket', binary('31', UNIX), undefined],
  ['2: with extensions', binary('11', `${TCP4} 02 0003 612e62 04 0000`), IPV4],
  ['2: as long as it may be', binary('11', `${TCP4} 04 ${uint16(505)} ${'00'.repeat(505)}`), IPV4],
];

describe('a PROXY protocol header', () => {
  it.each(GOOD)('of version %s is read, and not a byte beyond it', (_, header, proxied) => {
    const followed = Buffer.concat([header, Buffer.from('GET / HTTP/1.1\r\n')]);
    expect(readProxyHeader(followed)).toEqual({ length: header.length, proxied });
  });

  it.each(GOOD)('of version %s may come byte by byte', (_, header) => {
    for (let length = 0; length < header.length; length++) {
      expect(readProxyHeader(header.subarray(0, length))).toBeUndefined();
    }
  });

  it('with a checksum is held to it', () => {
    const header = binary('11', `${TCP4} 03 0004 00000000 04 0001 aa`);
    const at = header.length - 8;
    const good = Buffer.from(header);
    good.writeUInt32BE(crc32c(header), at);
    expect(readProxyHeader(good)?.proxied).toEqual(IPV4);
    for (let byte = 16; byte < good.length; byte++) {
      const bad = Buffer.from(good);
      bad[byte]! ^= 1;
      // A changed type or length of the checksum's own field makes it another extension, or none.
      if (byte >= at - 3 && byte < at) continue;
      expect(() => readProxyHeader(bad), `byte ${byte}`).toThrow(MalformedProxyHeader);
    }
  });

  it.each<[string, Buffer]>([
    ['plain HTTP', Buffer.from('GET / HTTP/1.1\r\n')],
    ['HTTP with a method that begins alike', Buffer.from('PROPFIND / HTTP/1.1\r\n')],
    ['TLS', bytes('160301')],
    ['one wrong byte', bytes('0d0a0d0a000d0a51554955')],
    ['lower case', Buffer.from('PROXY tcp4 203.0.113.9 198.51.100.1 49152 443\r\n')],
    ['two spaces', Buffer.from('PROXY TCP4  203.0.113.9 198.51.100.1 49152 443\r\n')],
    ['a bare line feed', Buffer.from(`PROXY TCP4 203.0.113.9 198.51.100.1 49152 443\n${' '.repeat(80)}`)],
    ['an octet over 255', Buffer.from('PROXY TCP4 203.0.113.256 198.51.100.1 49152 443\r\n')],
    ['an octal octet', Buffer.from('PROXY TCP4 203.0.113.010 198.51.100.1 49152 443\r\n')],
    ['IPv6 as TCP4', Buffer.from('PROXY TCP4 2001:db8::9 2001:db8::1 49152 443\r\n')],
    ['IPv4 as TCP6', Buffer.from('PROXY TCP6 203.0.113.9 198.51.100.1 49152 443\r\n')],
    ['a zone', Buffer.from('PROXY TCP6 fe80::1%eth0 2001:db8::1 49152 443\r\n')],
    ['a port over 65535', Buffer.from('PROXY TCP4 203.0.113.9 198.51.100.1 65536 443\r\n')],
    ['a port with a zero before it', Buffer.from('PROXY TCP4 203.0.113.9 198.51.100.1 080 443\r\n')],
    ['something behind the ports', Buffer.from('PROXY TCP4 203.0.113.9 198.51.100.1 49152 443 x\r\n')],
    ['UNKNOWNS', Buffer.from('PROXY UNKNOWNS\r\n')],
    ['a line of 108 bytes', Buffer.from(`PROXY UNKNOWN ${'f'.repeat(92)}\r\n`)],
    ['version 1 in binary', binary('11', TCP4, '11')],
    ['an unknown command', binary('11', TCP4, '22')],
    ['a datagram', binary('12', TCP4)],
    ['an unknown family', binary('41', TCP4)],
    ['no room for its addresses', binary('11', TCP4.slice(0, -3))],
    ['an extension beyond the end', binary('11', `${TCP4} 04 0002 aa`)],
    ['half an extension', binary('11', `${TCP4} 04 00`)],
    ['a checksum of three bytes', binary('11', `${TCP4} 03 0003 000000`)],
  ])('is not %s', (_, header) => {
    expect(() => readProxyHeader(header)).toThrow(MalformedProxyHeader);
  });

  it('that says it is too long is not waited for', () => {
    const start = binary('11', TCP4, '21', LONGEST_HEADER - 15).subarray(0, 16);
    expect(() => readProxyHeader(start)).toThrow(MalformedProxyHeader);
  });
});

describe('CRC-32C', () => {
  it.each([
    ['00'.repeat(32), 0x8a9136aa],
    ['ff'.repeat(32), 0x62a8ab43],
    [Buffer.from('123456789').toString('hex'), 0xe3069283],
  ])('of %s is that of RFC 3720', (hex, sum) => {
    expect(crc32c(bytes(hex))).toBe(sum);
  });
});
