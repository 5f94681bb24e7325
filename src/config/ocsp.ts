/** An OCSP response (RFC 6960 §4.2.1), as far as whoever passes it on must understand it. */

const SUCCESSFUL = 0;
/** `[0] EXPLICIT GeneralizedTime`, before its fifteen characters. */
const NEXT_UPDATE = Buffer.from('a011180f', 'hex');
const TIME = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/;

/** @throws with a sentence when the bytes are none, or one that says nothing. */
export function checkOcsp(der: Uint8Array): void {
  const bytes = Buffer.from(der);
  // OCSPResponse ::= SEQUENCE { responseStatus ENUMERATED, … }
  if (bytes[0] !== 0x30) throw new Error('holds no OCSP response (DER)');
  const lengthBytes = bytes[1]! < 0x80 ? 0 : bytes[1]! & 0x7f;
  const status = bytes.subarray(2 + lengthBytes, 5 + lengthBytes);
  if (status[0] !== 0x0a || status[1] !== 1) throw new Error('holds no OCSP response (DER)');
  if (status[2] !== SUCCESSFUL) throw new Error(`holds an OCSP response that failed (status ${status[2]})`);
}

/** Milliseconds since the epoch from which it says nothing any more; Infinity when it does not tell. */
export function ocspStaleAt(der: Uint8Array): number {
  const bytes = Buffer.from(der);
  const at = bytes.indexOf(NEXT_UPDATE);
  if (at === -1) return Infinity;
  const start = at + NEXT_UPDATE.length;
  const [, year, month, day, hour, minute, second] = TIME.exec(bytes.toString('latin1', start, start + 15)) ?? [];
  return year === undefined ? Infinity : Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
}

/** Whether it is about this certificate. @param serialNumber in hex. */
export function ocspIsAbout(der: Uint8Array, serialNumber: string): boolean {
  return Buffer.from(der).includes(Buffer.from(serialNumber, 'hex'));
}
