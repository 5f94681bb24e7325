/** Gateways with certificates by ACME, and what clients and operators see of them. */
import type { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { cleanup } from './cleanup.ts';
import type { GatewayFixture, GatewayFixtureOptions } from './gateway.ts';
import type { Pebble } from './pebble.ts';
import { until } from './until.ts';
import type { Upstream } from './upstream.ts';

const HOST = '127.0.0.1';

/** Gone when the test, or its file, is over. */
export function storageDir(): string {
  const dir = mkdtempSync(join(tmpdir(), 'aya-acme-'));
  cleanup(async () => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** `acme:` as an operator writes it. */
export function acmeFrom(
  { directory, ca }: Pick<Pebble, 'directory'> & Partial<Pick<Pebble, 'ca'>>,
  changes: object = {},
): object {
  const domains = ['api.test', 'WWW.api.test'];
  return {
    domains,
    email: 'ops@api.test',
    directory,
    ...(ca && { ca }),
    termsAgreed: true,
    storage: storageDir(),
    ...changes,
  };
}

/** One plain listener, one with the certificate; everything plain is sent to https. */
export function acmeGateway(
  acme: object,
  upstream: Upstream,
  { port = 0, ...changes }: { readonly port?: number; readonly store?: string; readonly threads?: number } = {},
): GatewayFixtureOptions {
  const listen = [
    { host: HOST, port },
    { host: HOST, port: 0, tls: { acme } },
  ];
  const pools = { users: { endpoints: [upstream.url], health: { passive: false } } };
  const routes = [
    { name: 'users', match: { path: '/*', scheme: 'https' }, pool: 'users' },
    { name: 'to-https', match: { scheme: 'http' }, redirect: { scheme: 'https', status: 308 } },
  ];
  return { gateway: { listen, ...changes }, files: { 'users.yaml': { pools, routes } } };
}

/** As any client of the name would. @param root whom the client trusts. */
export function get(gateway: GatewayFixture, root: string, servername = 'www.api.test') {
  return new Promise<{ status: number; certificate: X509Certificate }>((resolve, reject) => {
    const where = { host: HOST, port: gateway.ports[1], servername, ca: root, agent: false as const };
    const asking = request({ ...where, path: '/x', headers: { host: servername } }, (response) => {
      const certificate = (response.socket as TLSSocket).getPeerX509Certificate()!;
      response.resume().on('end', () => resolve({ status: response.statusCode!, certificate }));
    });
    asking.on('error', reject);
    asking.end();
  });
}

export interface CertificatesPage {
  readonly certificates: readonly { readonly file: string; readonly daysLeft: number }[];
  readonly acme: readonly Readonly<Record<string, unknown>>[];
}

export async function certificatesPage(gateway: GatewayFixture): Promise<CertificatesPage> {
  return JSON.parse((await gateway.admin('/certificates')).body) as CertificatesPage;
}

/** The first certificate, once it is shown. */
export async function issued(gateway: GatewayFixture, root: string, servername?: string) {
  const isIssued = async () => (await certificatesPage(gateway)).acme.every(({ state }) => state === 'issued');
  await until(isIssued, 'it to be issued', 15_000);
  return until(() => get(gateway, root, servername).catch(() => undefined), 'it to be shown');
}

/** What is told of the one certificate once its order has failed. */
export function failure(gateway: GatewayFixture): Promise<Readonly<Record<string, unknown>>> {
  return until(
    async () => {
      const [state] = (await certificatesPage(gateway)).acme;
      return state!.failure === undefined || state!.state === 'ordering' ? undefined : state;
    },
    'the order to fail',
    15_000,
  );
}
