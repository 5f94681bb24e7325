/** Lets clients in, or not, by their address; see README.md. */
import { isIP } from 'node:net';
import { compileNetworks } from '../../src/data/match/networks.ts';
import { GatewayError } from '../../src/errors.ts';
import { type ConfigFault, definePlugin } from '../../src/extension.ts';
import type { IpFilterConfig } from './schema.ts';

const COUNTER = 'aya_ip_filter_total';

export default definePlugin<IpFilterConfig | false>({
  name: 'ipFilter',
  phase: 'guard',
  check: (options) => (options === false ? [] : checkIpFilter(options)),
  counters: [
    { name: COUNTER, help: 'Requests that the IP filter decided about.', label: 'decision', values: ['allow', 'deny'] },
  ],
  create(options, context) {
    if (options === false) return {};
    const admits = compileIpFilter(options);
    const allowed = context.counter(COUNTER, 'allow');
    const denied = context.counter(COUNTER, 'deny');
    return {
      onRequest({ clientAddress }, _reply, done) {
        if (admits(clientAddress)) {
          allowed.increment();
          return done();
        }
        denied.increment();
        done(
          new GatewayError('http_request_denied', `client ${clientAddress} is not let in (ipFilter)`, {
            detail: 'Requests from this address are not accepted here.',
          }),
        );
      },
    };
  },
});

/** Deny wins. What is no address at all, as a proxy before us may pass on, is in no network and comes from nowhere. */
export function compileIpFilter({ allow, deny }: IpFilterConfig): (address: string) => boolean {
  const allowed = allow && compileNetworks(allow);
  const denied = deny && compileNetworks(deny);
  return (address) => {
    if (denied?.contains(address) === true) return false;
    return allowed === undefined ? isIP(address) !== 0 : allowed.contains(address);
  };
}

export function checkIpFilter(options: IpFilterConfig): readonly ConfigFault[] {
  const { allow = [], deny = [] } = options;
  if (allow.length + deny.length === 0) return [{ path: [], message: 'needs allow or deny' }];
  const faults = [...checkNetworks('allow', allow), ...checkNetworks('deny', deny)];
  if (faults.length > 0) return faults;
  return allow.flatMap((network, index) => {
    const by = deny.find((other) => covers(other, network));
    const message = `'${network}' lets nobody in: '${by}' is denied, and deny wins`;
    return by === undefined ? [] : [{ path: ['allow', index], message }];
  });
}

function checkNetworks(key: 'allow' | 'deny', networks: readonly string[]): ConfigFault[] {
  return networks.flatMap((network, index) => {
    try {
      compileNetworks([network]);
      return [];
    } catch (error) {
      return [{ path: [key, index], message: (error as Error).message }];
    }
  });
}

function covers(outer: string, inner: string): boolean {
  const [address = '', bits = Infinity] = inner.split('/');
  const [, outerBits = Infinity] = outer.split('/');
  return Number(outerBits) <= Number(bits) && compileNetworks([outer]).contains(address);
}
