/** What a message of a WebSocket costs on its way there and back, as bytes in a tunnel and inspected one by one. */
import { fileURLToPath } from 'node:url';
import { aya, ayaCommand, pool } from '../contestants/aya.ts';
import { caddy } from '../contestants/caddy.ts';
import type { Contestant } from '../contestants/contestant.ts';
import { haproxy } from '../contestants/haproxy.ts';
import { nginx, nginxCommand } from '../contestants/nginx.ts';
import { CONNECTIONS } from '../load.ts';
import { freePorts, LOAD_CORE, start, type Command } from '../process.ts';
import { race } from '../race.ts';
import { socketMessages } from '../traffic.ts';
import { compared, costs, type Scenario } from './scenario.ts';

const MESSAGE_BYTES = 100;
const ENDPOINTS = 3;

export const messages: Scenario = {
  name: 'messages',
  title: `A message of ${MESSAGE_BYTES} bytes and its echo through a WebSocket, ${CONNECTIONS} of them`,
  async run(bench) {
    const origins = await freePorts(ENDPOINTS);
    const service = start('socket-echo', echo(origins), bench.dir, LOAD_CORE);
    try {
      const contestants = [floor, ayaTunnel, ayaInspecting, nginxTunnel, haproxy, caddy];
      const traffic = socketMessages(MESSAGE_BYTES);
      const entrants = contestants.map((contestant) => ({ ...contestant, path: '/', traffic }));
      const results = await race(entrants, { ...bench, origins });
      const figures = results;
      return { ...compared(results, 'to the floor', costs(results)('floor')), budgets: [], figures };
    } finally {
      await service.stop();
    }
  },
};

function echo(ports: readonly number[]): Command {
  const app = fileURLToPath(new URL('../peers/socket-echo.ts', import.meta.url));
  return { argv: [process.execPath, app, ...ports.map(String)] };
}

/** The echo alone. */
const floor: Contestant = { name: 'floor', version: process.versions.node, configure: ({ port }) => echo([port]) };

const ayaTunnel: Contestant = { ...aya, name: 'aya', configure: (place) => ayaSockets(place, '{}') };
const ayaInspecting: Contestant = {
  ...aya,
  name: 'aya-inspect',
  configure: (place) => ayaSockets(place, '{ inspect: { maxMessage: 64KiB, rate: { max: 1000000000, per: 1m } } }'),
};

function ayaSockets(place: Parameters<Contestant['configure']>[0], webSocket: string): Command {
  const route = `routes: [{ name: sockets, pool: sockets, websocket: ${webSocket} }]\n`;
  return ayaCommand(place, { threads: 1, accessLog: false }, { 'sockets.yaml': pool('sockets', place) + route });
}

/** It passes a request for another protocol on only where it is told to. */
const nginxTunnel: Contestant = {
  ...nginx,
  configure: (place) =>
    nginxCommand(place, [
      'proxy_pass http://origin;',
      'proxy_http_version 1.1;',
      'proxy_set_header Upgrade $http_upgrade;',
      'proxy_set_header Connection "upgrade";',
      'proxy_set_header Host $http_host;',
      'proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;',
    ]),
};
