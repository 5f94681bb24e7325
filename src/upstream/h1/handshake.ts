/** What makes a 101 the agreement to a WebSocket, and not just a number that an upstream was brought to answer. */
import { createHash } from 'node:crypto';

/** RFC 6455 §1.3 */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/**
 * RFC 6455 §4.1: it names the protocol, and proves that it has read this request as a handshake. Without the proof, a
 * service that answers with whatever status it is told to would open a way past every rule of the gateway.
 * @param request the fields that were sent. @param answer those that came back. @param upgrade its Upgrade field.
 */
export function agreesToWebSocket(
  request: readonly string[],
  answer: readonly string[],
  upgrade: string | undefined,
): boolean {
  if (upgrade?.toLowerCase() !== 'websocket') return false;
  const key = valueOf(request, 'sec-websocket-key');
  const accept = valueOf(answer, 'sec-websocket-accept');
  return (
    key !== undefined &&
    accept ===
      createHash('sha1')
        .update(key.trim() + GUID)
        .digest('base64')
  );
}

/** Undefined where it stands more than once, too. */
function valueOf(fields: readonly string[], name: string): string | undefined {
  let value: string | undefined;
  for (let at = 0; at < fields.length; at += 2) {
    if (fields[at]!.length !== name.length || fields[at]!.toLowerCase() !== name) continue;
    if (value !== undefined) return undefined;
    value = fields[at + 1]!;
  }
  return value;
}
