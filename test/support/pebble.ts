/**
 * Let's Encrypt's own test server for a test: a process on free ports of loopback, whose every name is 127.0.0.1, and
 * which asks on a port of ours. Ended by its process id.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { Certificates, hasOpenssl } from './certificates.ts';
import { cleanup } from './cleanup.ts';
import { closedPort } from './upstream.ts';
import { until } from './until.ts';

/** Whether pebble is there; says so when not. @param file whose tests are skipped then. */
export function hasPebble(file: string): boolean {
  const isThere = ['pebble', 'pebble-challtestsrv'].every((name) => spawnSync(name, ['-h']).error === undefined);
  if (!isThere) console.warn(`${file} is skipped: pebble is not installed`);
  return isThere && hasOpenssl(file);
}

export interface PebbleOptions {
  /** Where it asks for challenges. */
  readonly httpPort: number;
  /** Share of good nonces that it refuses all the same, in percent. Default: 15. */
  readonly refusedNonces?: number;
  /** Accounts must be bound to this key (base64url) of this name. */
  readonly externalAccount?: { readonly keyId: string; readonly macKey: string };
}

export interface Pebble {
  readonly directory: string;
  /** File with the root of its own server. */
  readonly ca: string;
  /** Its log so far. */
  readonly log: string;
  /** The root of the certificates that it issues. */
  root(): Promise<string>;
  /** Orders placed so far. */
  readonly orders: number;
  kill(): Promise<void>;
}

export async function startPebble({ httpPort, refusedNonces = 15, externalAccount }: PebbleOptions): Promise<Pebble> {
  const certificates = new Certificates();
  certificates.authority('ca');
  certificates.issue('pebble', { altNames: 'IP:127.0.0.1,DNS:localhost' });
  const [port, management, dns, dnsManagement] = [
    await closedPort(),
    await closedPort(),
    await closedPort(),
    await closedPort(),
  ];
  const config = {
    pebble: {
      listenAddress: `127.0.0.1:${port}`,
      managementListenAddress: `127.0.0.1:${management}`,
      certificate: certificates.file('pebble.pem'),
      privateKey: certificates.file('pebble.key'),
      httpPort,
      tlsPort: await closedPort(),
      ocspResponderURL: '',
      externalAccountBindingRequired: externalAccount !== undefined,
      externalAccountMACKeys: externalAccount && { [externalAccount.keyId]: externalAccount.macKey },
    },
  };
  writeFileSync(certificates.file('pebble.json'), JSON.stringify(config));
  const names = ['-dns01', `127.0.0.1:${dns}`, '-management', `127.0.0.1:${dnsManagement}`, '-defaultIPv6', ''];
  const resolver = spawn('pebble-challtestsrv', [...names, '-http01', '', '-https01', '', '-tlsalpn01', ''], {
    stdio: 'ignore',
  });
  const server = spawn('pebble', ['-config', certificates.file('pebble.json'), '-dnsserver', `127.0.0.1:${dns}`], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      PEBBLE_VA_NOSLEEP: '1',
      PEBBLE_WFE_NONCEREJECT: String(refusedNonces),
      PEBBLE_AUTHZREUSE: '0',
    },
  });
  let log = '';
  for (const stream of [server.stdout, server.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (log += text));
  const kill = async () => {
    await Promise.all([end(server), end(resolver)]);
  };
  cleanup(kill);
  const ca = certificates.pem('ca');
  const directory = `https://127.0.0.1:${port}/dir`;
  await until(() => ask(directory, ca).catch(() => undefined), 'pebble to answer');
  return {
    directory,
    ca: certificates.file('ca.pem'),
    get log() {
      return log;
    },
    get orders() {
      return log.match(/Added order/g)?.length ?? 0;
    },
    root: () => ask(`https://127.0.0.1:${management}/roots/0`, ca),
    kill,
  };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

function ask(url: string, ca: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const asking = request(url, { ca, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => (body += text));
      response.on('end', () => resolve(body));
    });
    asking.on('error', reject);
    asking.end();
  });
}
