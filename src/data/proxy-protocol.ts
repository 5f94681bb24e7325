/**
 * The PROXY protocol, versions 1 and 2 (haproxy.org, proxy-protocol.txt): what a balancer that moves connections says
 * first on each of them, so that the client's address is not lost. Strict: the header names who the client is.
 */
import ipaddr from 'ipaddr.js';
import { isIPv4, isIPv6 } from 'node:net';
import { plainAddress } from './client-connection.ts';
import { crc32c } from './crc32c.ts';

/** Both ends of the connection as the balancer saw it. */
export interface Proxied {
  readonly address: string;
  readonly port: number;
  readonly localAddress: string;
  readonly localPort: number;
}

export interface ProxyHeader {
  /** Bytes that it takes; what follows is the client's. */
  readonly length: number;
  /** Absent when the balancer speaks for itself (its health check) or does not know. */
  readonly proxied: Proxied | undefined;
}

export class MalformedProxyHeader extends Error {
  override readonly name = 'MalformedProxyHeader';
}

/** Version 2: what fits in the smallest segment that TCP may be limited to, so that it is never in two parts (§2). */
export const LONGEST_HEADER = 536;
/** Version 1, with its line end (§2.1). */
const LONGEST_LINE = 107;

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const LINE_START = Buffer.from('PROXY ', 'latin1');

/** @returns undefined while more is needed. @throws MalformedProxyHeader as soon as it cannot become a header. */
export function readProxyHeader(bytes: Buffer): ProxyHeader | undefined {
  if (bytes.length === 0) return undefined;
  if (bytes[0] === LINE_START[0]) return startsAs(bytes, LINE_START) ? readLine(bytes) : undefined;
  return startsAs(bytes, SIGNATURE) ? readBinary(bytes) : undefined;
}

/** Whether all of `start` is there. */
function startsAs(bytes: Buffer, start: Buffer): boolean {
  const known = Math.min(bytes.length, start.length);
  if (bytes.compare(start, 0, known, 0, known) !== 0) throw new MalformedProxyHeader('no PROXY protocol header');
  return known === start.length;
}

// --- version 1: one line of text ---

const LINE = /^PROXY (TCP4|TCP6) ([0-9A-Fa-f:.]+) ([0-9A-Fa-f:.]+) (\d{1,5}) (\d{1,5})$/;

function readLine(bytes: Buffer): ProxyHeader | undefined {
  const end = bytes.subarray(0, LONGEST_LINE).indexOf('\r\n');
  if (end === -1) {
    if (bytes.length < LONGEST_LINE) return undefined;
    throw new MalformedProxyHeader(`a line of more than ${LONGEST_LINE} bytes`);
  }
  const length = end + 2;
  const line = bytes.toString('latin1', 0, end);
  // §2.1: whatever stands behind UNKNOWN is ignored.
  if (line === 'PROXY UNKNOWN' || line.startsWith('PROXY UNKNOWN ')) return { length, proxied: undefined };
  const [, family, source = '', target = '', sourcePort = '', targetPort = ''] = LINE.exec(line) ?? [];
  const isAddress = family === 'TCP4' ? isIPv4 : isIPv6;
  if (family === undefined || !isAddress(source) || !isAddress(target)) {
    throw new MalformedProxyHeader('a line that names no two addresses');
  }
  const proxied = {
    address: canonical(source),
    port: portOf(sourcePort),
    localAddress: canonical(target),
    localPort: portOf(targetPort),
  };
  return { length, proxied };
}

/** As the kernel would write it: limits and networks compare text. */
function canonical(address: string): string {
  return isIPv4(address) ? address : fromBytes(Buffer.from(ipaddr.parse(address).toByteArray()));
}

function portOf(text: string): number {
  const port = Number(text);
  if (port > 65_535 || String(port) !== text) throw new MalformedProxyHeader(`'${text}' is no port`);
  return port;
}

// --- version 2: binary ---

const FIXED = 16;
const COMMAND = { local: 0x20, proxy: 0x21 } as const;
/** Family and transport → bytes of the addresses and ports. Of datagrams none came by TCP. */
const ADDRESS_BYTES: ReadonlyMap<number, number> = new Map([
  [0x00, 0],
  [0x11, 12],
  [0x21, 36],
  [0x31, 216],
]);
const CRC32C = 0x03;

function readBinary(bytes: Buffer): ProxyHeader | undefined {
  if (bytes.length < FIXED) return undefined;
  const command = bytes[12]!;
  const kind = bytes[13]!;
  const length = FIXED + bytes.readUInt16BE(14);
  if (command !== COMMAND.local && command !== COMMAND.proxy)
    throw new MalformedProxyHeader('unknown version or command');
  if (length > LONGEST_HEADER) throw new MalformedProxyHeader(`more than ${LONGEST_HEADER} bytes`);
  if (bytes.length < length) return undefined;
  // §2.2: of a connection of its own, the balancer's address counts, and the rest is to be ignored.
  if (command === COMMAND.local) return { length, proxied: undefined };
  const addressBytes = ADDRESS_BYTES.get(kind);
  if (addressBytes === undefined) throw new MalformedProxyHeader('unknown family or transport');
  if (FIXED + addressBytes > length) throw new MalformedProxyHeader('too short for its addresses');
  const header = bytes.subarray(0, length);
  checkExtensions(header, FIXED + addressBytes);
  return { length, proxied: proxiedFrom(header, kind) };
}

function proxiedFrom(header: Buffer, kind: number): Proxied | undefined {
  const width = kind === 0x11 ? 4 : kind === 0x21 ? 16 : 0;
  // Not known, or a Unix socket: there is no address to take.
  if (width === 0) return undefined;
  const at = (offset: number) => header.subarray(FIXED + offset, FIXED + offset + width);
  const ports = FIXED + 2 * width;
  return {
    address: fromBytes(at(0)),
    port: header.readUInt16BE(ports),
    localAddress: fromBytes(at(width)),
    localPort: header.readUInt16BE(ports + 2),
  };
}

function fromBytes(bytes: Buffer): string {
  const address = ipaddr.fromByteArray([...bytes]);
  const isMapped = address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress();
  return plainAddress((isMapped ? address.toIPv4Address() : address).toString());
}

/** Type, length, value (§2.2): skipped, but for the checksum; they must fill the header exactly. */
function checkExtensions(header: Buffer, start: number): void {
  let at = start;
  while (at < header.length) {
    const end = at + 3 + (at + 3 <= header.length ? header.readUInt16BE(at + 1) : 0);
    if (end > header.length) throw new MalformedProxyHeader('an extension that goes beyond the end');
    if (header[at] === CRC32C) checkSum(header, at + 3, end);
    at = end;
  }
}

function checkSum(header: Buffer, at: number, end: number): void {
  if (end - at !== 4) throw new MalformedProxyHeader('a checksum that is not four bytes');
  const expected = header.readUInt32BE(at);
  // §2.2.3: taken with its own field as zeros.
  const zeroed = Buffer.from(header).fill(0, at, end);
  if (crc32c(zeroed) !== expected) throw new MalformedProxyHeader('a wrong checksum');
}
