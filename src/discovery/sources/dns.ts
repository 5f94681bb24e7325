/** A and AAAA records: each address is an endpoint. What a headless service of Kubernetes or a name in Compose answers. */
import Type from 'typebox';
import { checkNames, NAME_PATTERN, Names, nameSettings, type NameSettings } from '../names.ts';
import { poll } from '../poll.ts';
import { defineSource } from '../source.ts';

interface DnsSettings extends NameSettings {
  readonly dns: string;
}

export default defineSource<DnsSettings>({
  name: 'dns',
  about: 'Endpoints that are the addresses of a name.',
  settings: {
    dns: Type.String({
      pattern: NAME_PATTERN,
      title: 'host name',
      examples: ['orders.internal'],
      description: 'A full name, whose A and AAAA records are the endpoints.',
    }),
    port: Type.Integer({ minimum: 1, maximum: 65535, description: 'Of every endpoint.' }),
    ...nameSettings,
  },
  check: checkNames,
  create: (settings, context) => ({
    watch(signal) {
      const names = new Names(settings, signal);
      const ask = async () => {
        const { hosts, ttlMs } = await names.addresses(settings.dns);
        const instances = hosts.map((host) => ({ host, weight: 1, backup: false }));
        return { instances, freshMs: names.freshMs(ttlMs) };
      };
      return poll(ask, context, signal);
    },
  }),
});
