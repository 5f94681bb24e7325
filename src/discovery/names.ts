/** Questions to name servers, asked as Node's resolver does, and the settings that their sources share. */
import { Resolver } from 'node:dns/promises';
import Type from 'typebox';
import { settings, Text } from '../config/shapes.ts';
import { Duration } from '../config/units.ts';
import { compileNetworks, type Networks } from '../data/match/networks.ts';
import type { SourceFault } from './source.ts';

export type Family = 'auto' | 'ipv4' | 'ipv6' | 'all';

export interface NameSettings {
  readonly family: Family;
  readonly servers: readonly string[];
  readonly refresh: { readonly min: number; readonly max: number };
  readonly allow?: readonly string[];
}

/** RFC 1123 §2.1, with the underscores of RFC 2782. A full name: search domains are not tried. */
export const NAME_PATTERN =
  '^(?=.{1,253}\\.?$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62})*\\.?$';

/** Of every source that asks name servers. */
export const nameSettings = {
  scheme: Type.Enum(['http', 'https'], { default: 'http', description: 'How the endpoints are spoken to.' }),
  family: Type.Enum(['auto', 'ipv4', 'ipv6', 'all'], {
    default: 'auto',
    description: 'Which addresses count; auto: IPv4, and IPv6 where there are none of those.',
  }),
  servers: Type.Array(Text('An address, with a port where it is not 53: 10.0.0.2, 10.0.0.2:5353, [2001:db8::2]:53.'), {
    default: [],
    description: 'Name servers to ask. Default: those of the system.',
  }),
  refresh: settings(
    {
      min: Duration('Not more often than this, whatever the TTL.', '1s'),
      max: Duration('At least this often.', '5m'),
    },
    'How often to ask: when the TTL of the answer has passed, within these bounds, with 10 % jitter.',
  ),
  allow: Type.Optional(
    Type.Array(Text('A network, such as 10.0.0.0/8.'), {
      minItems: 1,
      description: 'Where endpoints may be; an answer with any other address is refused whole.',
    }),
  ),
};

/** How long one question may take, and how often it is put. */
const TIMEOUT_MS = 2_000;
const TRIES = 2;

export function checkNames({ servers, refresh, allow = [] }: NameSettings): SourceFault[] {
  const faults: SourceFault[] = [];
  if (refresh.min <= 0) faults.push({ key: 'refresh/min', message: 'expected a duration longer than 0' });
  if (refresh.min > refresh.max) faults.push({ key: 'refresh/min', message: 'it is longer than max' });
  servers.forEach((server, at) => {
    const message = faultOf(() => new Resolver().setServers([server]));
    if (message !== undefined)
      faults.push({ key: `servers/${at}`, message: `'${server}' is not the address of a name server` });
  });
  allow.forEach((network, at) => {
    const message = faultOf(() => compileNetworks([network]));
    if (message !== undefined) faults.push({ key: `allow/${at}`, message });
  });
  return faults;
}

function faultOf(run: () => void): string | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

export interface Addresses {
  /** As hosts of URLs; each once. */
  readonly hosts: readonly string[];
  readonly ttlMs: number;
}

export interface ServiceRecord {
  readonly name: string;
  readonly port: number;
  readonly priority: number;
  readonly weight: number;
}

export class Names {
  readonly #settings: NameSettings;
  readonly #resolver = new Resolver({ timeout: TIMEOUT_MS, tries: TRIES });
  readonly #allowed: Networks | undefined;

  constructor(given: NameSettings, signal: AbortSignal) {
    this.#settings = given;
    this.#allowed = given.allow && compileNetworks(given.allow);
    if (given.servers.length > 0) this.#resolver.setServers(given.servers);
    signal.addEventListener('abort', () => this.#resolver.cancel(), { once: true });
  }

  /** @throws NameFailure when there is none. */
  async addresses(name: string): Promise<Addresses> {
    const found = await this.#ofFamily(name);
    const stranger = found.find(({ address }) => this.#allowed?.contains(address) === false);
    if (stranger !== undefined) throw new Error(`${name}: ${stranger.address} is not in a network of 'allow'`);
    const hosts = new Set(found.map(({ address }) => (address.includes(':') ? `[${address}]` : address)));
    return { hosts: [...hosts], ttlMs: Math.min(...found.map(({ ttl }) => ttl)) * 1000 };
  }

  /** @throws NameFailure when there is none. */
  services(name: string): Promise<readonly ServiceRecord[]> {
    return ask(name, this.#resolver.resolveSrv(name));
  }

  /** Within the bounds of `refresh`. */
  freshMs(ttlMs: number): number {
    const { min, max } = this.#settings.refresh;
    return Math.min(Math.max(ttlMs, min), max);
  }

  async #ofFamily(name: string) {
    const v4 = () => ask(name, this.#resolver.resolve4(name, { ttl: true }));
    const v6 = () => ask(name, this.#resolver.resolve6(name, { ttl: true }));
    switch (this.#settings.family) {
      case 'ipv4':
        return v4();
      case 'ipv6':
        return v6();
      case 'auto':
        return v4().catch((error: unknown) => (isNoData(error) ? v6() : Promise.reject(error as Error)));
      case 'all': {
        const none = (error: unknown) => (isNoData(error) ? [] : Promise.reject(error as Error));
        const found = (await Promise.all([v4().catch(none), v6().catch(none)])).flat();
        return found.length > 0 ? found : Promise.reject(new NameFailure(name, 'ENODATA'));
      }
    }
  }
}

const WORDS: Readonly<Record<string, string>> = {
  ENOTFOUND: 'no such name (NXDOMAIN)',
  ENODATA: 'no such record',
  ESERVFAIL: 'the name server failed (SERVFAIL)',
  EREFUSED: 'the name server refused',
  ETIMEOUT: 'no answer of a name server',
  ECONNREFUSED: 'no name server there',
};

export class NameFailure extends Error {
  override readonly name = 'NameFailure';
  readonly code: string;

  constructor(name: string, code: string) {
    super(`${name}: ${WORDS[code] ?? code}`);
    this.code = code;
  }
}

async function ask<Record>(name: string, question: Promise<readonly Record[]>): Promise<readonly Record[]> {
  try {
    const records = await question;
    if (records.length > 0) return records;
  } catch (error) {
    throw new NameFailure(name, (error as NodeJS.ErrnoException).code ?? String(error));
  }
  throw new NameFailure(name, 'ENODATA');
}

/** The name is there, without a record of this type. */
const isNoData = (error: unknown): boolean => error instanceof NameFailure && error.code === 'ENODATA';

/** The name server knows that there is nothing, as against one that does not know. */
export const isNowhere = (error: unknown): boolean =>
  isNoData(error) || (error instanceof NameFailure && error.code === 'ENOTFOUND');
