/** Ends a connection of TCP so that its peer cannot take what it has for all. */
import type { Socket } from 'node:net';

/** @param spoken what is spoken on it, where TLS stands between. */
export function resetSocket(socket: Socket, spoken: Socket = socket): void {
  const { writableEnded, writableFinished, writableLength, destroyed } = spoken;
  // While the end is on its way libuv refuses (EINVAL), and Node would take the connection for closed and never say so.
  const isEnding = writableEnded && !writableFinished && writableLength === 0 && !destroyed;
  if (isEnding) spoken.once('finish', () => socket.resetAndDestroy());
  else socket.resetAndDestroy();
}
