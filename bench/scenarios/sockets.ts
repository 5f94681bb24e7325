/** What idle WebSockets weigh: thousands are opened through the proxy, say one thing each, and stay. */
import { mkdirSync, readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as pause } from 'node:timers/promises';
import { ayaCommand, pool } from '../contestants/aya.ts';
import type { Contestant } from '../contestants/contestant.ts';
import { haproxy } from '../contestants/haproxy.ts';
import { answering, freePorts, PROXY_CORE, residentMiB, start } from '../process.ts';
import { fixed, thousands, type Scenario } from './scenario.ts';

const AT_ONCE = 50;
const MOST = 10_000;
/** Of the files that a process may have open, as the gateway itself does: beyond, it refuses clients. */
const SHARE_OF_FILES = 0.9;
/** What a proxy has open besides. */
const OTHER_FILES = 200;
/** Opened and closed before, so that what is there once for all is not counted. */
const WARM_UP = 200;
const SETTLE_MS = 2_000;
const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const HANDSHAKE = `GET /x HTTP/1.1\r\nHost: bench\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${KEY}\r\n\r\n`;
const PING = Buffer.from([0x89, 0x80, 1, 2, 3, 4]);
const UPSTREAM = fileURLToPath(new URL('../peers/socket-upstream.ts', import.meta.url));

const ayaSockets: Contestant = {
  name: 'aya',
  version: '',
  configure: (place) =>
    ayaCommand(
      place,
      { threads: 1, accessLog: false },
      { 'sockets.yaml': `${pool('sockets', place)}routes: [{ name: sockets, pool: sockets }]\n` },
      // Else one address may have 200 connections.
      'trustedProxies: [127.0.0.0/8]\n',
    ),
};

export const sockets: Scenario = {
  name: 'sockets',
  title: 'Memory of idle WebSockets, both sides of each included',
  async run(bench) {
    const count = bench.quick ? 1_000 : Math.min(MOST, socketsThatFit());
    const [port = 0] = await freePorts(1);
    // A process of its own, for it has as many sockets as the clients have.
    const upstream = start('sockets-upstream', { argv: [process.execPath, UPSTREAM, String(port)] }, bench.dir);
    const figures: { name: string; idle: number; spoken: number }[] = [];
    try {
      await answering('sockets-upstream', upstream, `http://127.0.0.1:${port}/`, bench.dir);
      for (const contestant of [ayaSockets, haproxy]) {
        if (contestant.version === undefined) continue;
        figures.push({ name: contestant.name, ...(await weigh(contestant, bench.dir, port, count)) });
      }
    } finally {
      await upstream.stop();
    }
    return {
      columns: ['', 'open', 'KiB each', 'after a message each'],
      rows: figures.map(({ name, idle, spoken }) => [name, thousands(count), fixed(idle), fixed(spoken)]),
      budgets: [{ promise: 'idle WebSocket, KiB', atMost: 24, found: figures[0]!.idle }],
      figures,
    };
  },
};

/** Each takes two of the proxy's files. */
function socketsThatFit(): number {
  const files = Number(/^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1]);
  return Math.floor((files * SHARE_OF_FILES - OTHER_FILES) / 2);
}

async function weigh(contestant: Contestant, parent: string, origin: number, count: number) {
  const dir = join(parent, `sockets-${contestant.name}`);
  mkdirSync(dir);
  const [port = 0] = await freePorts(1);
  const proxy = start(contestant.name, contestant.configure({ dir, port, origins: [origin] }), dir, PROXY_CORE);
  try {
    await answering(contestant.name, proxy, `http://127.0.0.1:${port}/`, dir);
    for (const socket of await openAll(port, WARM_UP)) socket.destroy();
    await pause(SETTLE_MS);
    const before = residentMiB(proxy.pid).now;
    const eachKiB = () => ((residentMiB(proxy.pid).now - before) * 1024) / count;
    const open = await openAll(port, count);
    await pause(SETTLE_MS);
    const idle = eachKiB();
    await Promise.all(open.map(ping));
    await pause(SETTLE_MS);
    const spoken = eachKiB();
    for (const socket of open) socket.destroy();
    return { idle, spoken };
  } finally {
    await proxy.stop();
  }
}

async function openAll(port: number, count: number): Promise<Socket[]> {
  const open: Socket[] = [];
  while (open.length < count) {
    const some = Math.min(AT_ONCE, count - open.length);
    open.push(...(await Promise.all(Array.from({ length: some }, () => openOne(port)))));
  }
  return open;
}

function openOne(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    socket.on('error', reject);
    socket.once('data', (answer: Buffer) => {
      const line = answer.toString('latin1').split('\r\n')[0]!;
      if (line.includes(' 101 ')) resolve(socket);
      else reject(new Error(`no WebSocket: ${line}`));
    });
    socket.write(HANDSHAKE);
  });
}

function ping(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.once('data', () => resolve());
    socket.write(PING);
  });
}
