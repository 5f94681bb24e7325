/**
 * SRV records (RFC 2782): targets with ports, weights and priorities. The lowest priority serves; all others are backups.
 * Their addresses are what counts: a target that moves is followed like one of `dns`.
 */
import Type from 'typebox';
import { checkNames, isNowhere, NAME_PATTERN, Names, nameSettings } from '../names.ts';
import type { Addresses, NameSettings, ServiceRecord } from '../names.ts';
import { poll } from '../poll.ts';
import { defineSource, type Instance } from '../source.ts';

interface SrvSettings extends NameSettings {
  readonly srv: string;
  readonly max: number;
}

/** Node does not tell the TTL of SRV records. */
const RECORDS_FRESH_MS = 30_000;
/** Of an endpoint (config/pool-schema.ts); that of a record goes up to 65 535. */
const MOST_WEIGHT = 1000;

export default defineSource<SrvSettings>({
  name: 'srv',
  about:
    'Endpoints that are the services of a name, with ports, weights and priorities: the lowest priority serves, the others are backups.',
  settings: {
    srv: Type.String({
      pattern: NAME_PATTERN,
      title: 'service name',
      examples: ['_http._tcp.orders.internal'],
      description: 'A full name, whose SRV records name endpoints with port, weight and priority.',
    }),
    ...nameSettings,
  },
  check: checkNames,
  create: (settings, context) => ({
    watch(signal) {
      const names = new Names(settings, signal);
      const ask = async () => {
        // RFC 2782: a target of "." says that the service is decidedly not there.
        const records = (await names.services(settings.srv)).filter(({ name }) => name !== '' && name !== '.');
        if (records.length > settings.max)
          throw new Error(`${records.length} records: at most ${settings.max} are taken`);
        const targets = await addressesOf(records, names);
        const ttls = [...targets.values()].map(({ ttlMs }) => ttlMs);
        return {
          instances: instancesOf(records, targets),
          freshMs: names.freshMs(Math.min(RECORDS_FRESH_MS, ...ttls)),
        };
      };
      return poll(ask, context, signal);
    },
  }),
});

/** Without targets that have none, of which the others are not to suffer; one that cannot be asked spoils the answer. */
async function addressesOf(records: readonly ServiceRecord[], names: Names): Promise<Map<string, Addresses>> {
  const targets = [...new Set(records.map(({ name }) => name))];
  const found = await Promise.all(
    targets.map((target) =>
      names.addresses(target).catch((error: unknown) => {
        if (isNowhere(error)) return undefined;
        throw error;
      }),
    ),
  );
  return new Map(targets.flatMap((target, at) => (found[at] === undefined ? [] : [[target, found[at]] as const])));
}

function instancesOf(records: readonly ServiceRecord[], targets: ReadonlyMap<string, Addresses>): Instance[] {
  const reachable = records.filter(({ name }) => targets.has(name));
  const first = Math.min(...reachable.map(({ priority }) => priority));
  const weightOf = scale(reachable.map(({ weight }) => weight));
  return reachable.flatMap(({ name, port, priority, weight }) =>
    targets.get(name)!.hosts.map((host) => ({ host, port, weight: weightOf(weight), backup: priority > first })),
  );
}

/** RFC 2782: beside others a weight of 0 has a very small chance; all of them 0 are equal. */
function scale(weights: readonly number[]): (weight: number) => number {
  const most = Math.max(...weights);
  if (most === 0) return () => 1;
  if (most <= MOST_WEIGHT && !weights.includes(0)) return (weight) => weight;
  return (weight) => Math.max(1, Math.round((weight * MOST_WEIGHT) / most));
}
