import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../clock.ts';
import { candidates, pickContext, requestOf, SEEDS } from '../../../test/support/picking.ts';
import type { Balancer, Candidate, PickRequest } from '../endpoint.ts';
import hash from './hash.ts';
import ipHash from './ip-hash.ts';
import urlHash from './url-hash.ts';

const KEYS = 10_000;

function balancerOver(set: readonly Candidate[], source = 'header:x-user', seed = 1): Balancer {
  const balancer = hash.create<Candidate>(pickContext(seed, source));
  balancer.update(set);
  return balancer;
}

function ownersOf(balancer: Balancer): string[] {
  return Array.from({ length: KEYS }, (_, number) => balancer.pick(requestOf(number))!.url);
}

/** Ten endpoints at other addresses for each seed. */
function fleet(seed: number, weightOf: (row: number) => number = () => 1): Candidate[] {
  const random = seededRandom(seed);
  return Array.from({ length: 10 }, (_, row) => ({
    url: `http://10.${Math.floor(random() * 256)}.${Math.floor(random() * 256)}.${row}:8080`,
    weight: weightOf(row),
    row,
  }));
}

describe('hash', () => {
  it('sends a key to the same endpoint on every thread, in whatever order the set is given and whatever came before', () => {
    for (const seed of SEEDS) {
      const set = fleet(seed, (row) => 1 + (row % 3));
      const elsewhere = balancerOver(set.slice(4), 'header:x-user', seed);
      elsewhere.update(set.toReversed().map((candidate, row) => ({ ...candidate, row: row + 100 })));
      expect(ownersOf(elsewhere)).toEqual(ownersOf(balancerOver(set)));
    }
  });

  it('moves few keys when one of ten leaves: those it had, and hardly any other', () => {
    for (const seed of SEEDS) {
      const set = fleet(seed);
      const left = set[seed % 10]!;
      const before = ownersOf(balancerOver(set));
      const after = ownersOf(balancerOver(set.filter((candidate) => candidate !== left)));
      const moved = before.filter((url, key) => url !== after[key]).length;
      const needlessly = before.filter((url, key) => url !== after[key] && url !== left.url).length;
      expect(moved / KEYS).toBeLessThan(0.15);
      expect(needlessly / KEYS).toBeLessThan(0.02);
    }
  });

  it('gives an endpoint that comes back its old keys', () => {
    const set = fleet(1);
    const balancer = balancerOver(set);
    const before = ownersOf(balancer);
    balancer.update(set.slice(1));
    balancer.update(set);
    expect(ownersOf(balancer)).toEqual(before);
  });

  it('keeps shares within two points of the weights over ten thousand keys', () => {
    for (const seed of SEEDS) {
      const set = fleet(seed, (row) => 1 + ((row + seed) % 5));
      const total = set.reduce((sum, candidate) => sum + candidate.weight, 0);
      const owners = ownersOf(balancerOver(set));
      for (const { url, weight } of set) {
        const share = owners.filter((owner) => owner === url).length / KEYS;
        expect(Math.abs(share - weight / total)).toBeLessThan(0.02);
      }
    }
  });

  it('takes most keys along when a weight changes', () => {
    const before = ownersOf(balancerOver(fleet(1)));
    const after = ownersOf(balancerOver(fleet(1, (row) => (row === 0 ? 2 : 1))));
    expect(before.filter((url, key) => url !== after[key]).length / KEYS).toBeLessThan(0.2);
  });

  it.each(['header:X-User', 'cookie:session', 'query:tenant', 'path', 'url', 'ip', 'consumer'])(
    'reads its key from %s',
    (source) => {
      const balancer = balancerOver(candidates(1, 1, 1, 1, 1), source);
      const twice = () => Array.from({ length: 50 }, (_, number) => balancer.pick(requestOf(number))!.row);
      const rows = twice();
      expect(twice()).toEqual(rows);
      expect(new Set(rows).size).toBe(5);
    },
  );

  it('spreads requests without the key by weight', () => {
    const balancer = balancerOver(candidates(3, 1), 'header:x-absent');
    const first = Array.from({ length: 1_000 }, () => balancer.pick(requestOf(1))!.row).filter((row) => row === 0);
    expect(first.length / 1_000).toBeGreaterThan(0.7);
    expect(first.length / 1_000).toBeLessThan(0.8);
  });
});

describe('ip-hash', () => {
  const balancer = ipHash.create<Candidate>(pickContext());
  balancer.update(candidates(...Array.from({ length: 100 }, () => 1)));
  const ownerOf = (clientAddress: string) => balancer.pick({ ...requestOf(0), clientAddress } as PickRequest);

  it('takes all addresses of an IPv6 /64 for one client, however they are written', () => {
    const owner = ownerOf('2001:db8:0:7::1');
    for (const address of [
      '2001:db8:0:7:a:b:c:d',
      '2001:0DB8::7:ffff:1:2:3',
      '2001:db8:0:7::',
      '2001:db8:0:7::9%eth0',
    ]) {
      expect(ownerOf(address)).toBe(owner);
    }
  });

  it('tells networks apart', () => {
    const networks = Array.from({ length: 200 }, (_, network) => `2001:db8:0:${network.toString(16)}::1`);
    expect(new Set(networks.map(ownerOf)).size).toBeGreaterThan(70);
    expect(new Set(networks.map((address) => ownerOf(address.replace(':0:', ':1:')))).size).toBeGreaterThan(70);
  });

  it('takes an IPv4 address for the same client when it arrives mapped into IPv6', () => {
    for (const address of ['192.0.2.1', '198.51.100.77', '10.1.2.3']) {
      expect(ownerOf(`::ffff:${address}`)).toBe(ownerOf(address));
    }
  });
});

describe('url-hash', () => {
  it('looks at path and query', () => {
    const balancer = urlHash.create<Candidate>(pickContext());
    balancer.update(candidates(...Array.from({ length: 50 }, () => 1)));
    const ownerOf = (target: string) => balancer.pick({ ...requestOf(0), target } as PickRequest)!.row;
    expect(ownerOf('/a?page=1')).toBe(ownerOf('/a?page=1'));
    expect(new Set(Array.from({ length: 50 }, (_, page) => ownerOf(`/a?page=${page}`))).size).toBeGreaterThan(20);
  });
});
