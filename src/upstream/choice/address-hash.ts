/**
 * A hash of a client's address that stays while the client is the same: IPv4 whole (also when it arrives mapped into
 * IPv6), IPv6 by its /64, because hosts change the lower half every day to protect their privacy (RFC 8981).
 */
import { hashString, mix } from './string-hash.ts';

const COLON = 58;
const PERCENT = 37;

const groups = new Uint16Array(8);

export function hashAddress(address: string): number {
  if (address.indexOf(':') < 0) return hashString(address);
  if (address.indexOf('.') >= 0) return hashString(address.slice(address.lastIndexOf(':') + 1));
  readGroups(address);
  return mix(mix((groups[0]! << 16) | groups[1]!) ^ ((groups[2]! << 16) | groups[3]!));
}

/** RFC 4291 §2.2: up to eight groups; `::` stands for as many zeros as are missing. */
function readGroups(address: string): void {
  groups.fill(0);
  let read = 0;
  let gap = -1;
  let value = 0;
  let digits = 0;
  for (let at = 0; at <= address.length; at++) {
    const unit = at < address.length ? address.charCodeAt(at) : PERCENT;
    if (unit !== COLON && unit !== PERCENT) {
      value = (value << 4) | hexDigit(unit);
      digits++;
      continue;
    }
    if (digits > 0 && read < 8) groups[read++] = value;
    else if (digits === 0 && at > 0 && unit === COLON) gap = read;
    value = digits = 0;
    if (unit === PERCENT) break; // the end, or a zone (RFC 4007 §11)
  }
  if (gap < 0) return;
  groups.copyWithin(8 - (read - gap), gap, read);
  groups.fill(0, gap, 8 - (read - gap));
}

function hexDigit(unit: number): number {
  return unit < 58 ? unit - 48 : (unit | 32) - 87;
}
