/** Against a real name server, since what resolvers make of its answers is the question. */
import { beforeAll, describe, expect, it } from 'vitest';
import { hasDnsmasq, nameServer, type NameServer } from '../../test/support/dnsmasq.ts';
import { systemClock, systemRandom } from '../clock.ts';
import { Names, type NameSettings } from './names.ts';
import type { Answer, AnySource } from './source.ts';
import srv from './sources/srv.ts';

describe.skipIf(!hasDnsmasq)('a name', () => {
  let server: NameServer;
  const service = '_http._tcp.shop.internal';

  beforeAll(async () => {
    server = await nameServer(
      {
        hosts: {
          'both.internal': ['10.0.0.1', '10.0.0.2', '2001:db8::1'],
          'six.internal': ['2001:db8::1', '::1'],
          'a.internal': ['10.0.0.1'],
          'b.internal': ['10.0.0.2', '10.0.0.3'],
        },
        services: [
          `${service},a.internal,8080,1,0`,
          `${service},b.internal,8081,1,50`,
          `${service},a.internal,8082,9,60000`,
          `${service},nowhere.internal,8083,0,1`,
          '_away._tcp.shop.internal,nowhere.internal,80,0,1',
        ],
      },
      40,
    );
  });

  const names = (changes: Partial<NameSettings> = {}) =>
    new Names(
      { family: 'auto', servers: [server.address], refresh: { min: 1_000, max: 30_000 }, ...changes },
      new AbortController().signal,
    );
  const hosts = async (name: string, changes?: Partial<NameSettings>) =>
    [...(await names(changes).addresses(name)).hosts].sort();

  it('has the addresses of the family that is asked for', async () => {
    expect(await hosts('both.internal')).toEqual(['10.0.0.1', '10.0.0.2']);
    expect(await hosts('both.internal', { family: 'ipv6' })).toEqual(['[2001:db8::1]']);
    expect(await hosts('both.internal', { family: 'all' })).toEqual(['10.0.0.1', '10.0.0.2', '[2001:db8::1]']);
    expect(await hosts('six.internal')).toEqual(['[2001:db8::1]', '[::1]']);
    expect(await hosts('six.internal', { family: 'all' })).toHaveLength(2);
    await expect(hosts('six.internal', { family: 'ipv4' })).rejects.toThrow('six.internal: no such record');
  });

  it('is good for its TTL, within bounds', async () => {
    const { ttlMs } = await names().addresses('both.internal');
    expect(ttlMs).toBe(40_000);
    expect(names().freshMs(ttlMs)).toBe(30_000);
    expect(names().freshMs(0)).toBe(1_000);
    expect(names().freshMs(7_000)).toBe(7_000);
  });

  it('that does not exist says so, and so does a server that is not there', async () => {
    await expect(hosts('nobody.internal')).rejects.toThrow('nobody.internal: no such name (NXDOMAIN)');
    await expect(hosts('elsewhere.test')).rejects.toThrow('elsewhere.test: the name server refused');
    await expect(hosts('both.internal', { servers: ['127.0.0.1:1'] })).rejects.toThrow('no name server there');
  });

  it('may only lead where it is allowed to', async () => {
    expect(await hosts('both.internal', { allow: ['10.0.0.0/24'] })).toHaveLength(2);
    await expect(hosts('both.internal', { allow: ['10.0.0.0/31'] })).rejects.toThrow(
      "both.internal: 10.0.0.2 is not in a network of 'allow'",
    );
  });

  /** The first answer of the source. */
  async function servicesOf(name: string, max = 10): Promise<Answer> {
    const stop = new AbortController();
    const settings = { kind: 'srv', srv: name, family: 'auto', servers: [server.address], max };
    const refresh = { min: 1_000, max: 30_000 };
    const context = { dir: '/', clock: systemClock, random: systemRandom };
    const source = srv as unknown as AnySource;
    for await (const answer of source.create({ ...settings, refresh }, context).watch(stop.signal)) {
      stop.abort();
      return answer;
    }
    throw new Error('no answer');
  }

  it('of a service has its targets: the lowest priority that is there serves, weight 0 is next to nothing', async () => {
    const found = (await servicesOf(service)) as Exclude<Answer, Error>;
    const lines = found.map(({ host, port, weight, backup }) => `${host}:${port} ${weight} ${backup}`);
    expect(lines.sort()).toEqual([
      '10.0.0.1:8080 1 false',
      '10.0.0.1:8082 1000 true',
      '10.0.0.2:8081 1 false',
      '10.0.0.3:8081 1 false',
    ]);
  });

  it('of a service without one target that is there, or with too many, is a failure', async () => {
    expect(await servicesOf('_away._tcp.shop.internal')).toEqual([]);
    expect(await servicesOf(service, 3)).toEqual(new Error('4 records: at most 3 are taken'));
    expect(((await servicesOf('_none._tcp.shop.internal')) as Error).message).toMatch(/no such name/);
  });
});
