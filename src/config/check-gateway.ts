/** What a schema cannot say about gateway.yaml. */
import { compileNetworks } from '../data/match/networks.ts';
import { answerStoreOptions, redisOptions } from '../store/options.ts';
import type { Document } from './document.ts';
import type { Problem } from './problem.ts';
import type { GatewayConfig } from './schema.ts';

export function checkGateway(config: GatewayConfig, document: Document): Problem[] {
  return [
    ...checkAdmin(config, document),
    ...checkListeners(config, document),
    ...checkTimeouts(config, document),
    ...checkNetworks(config, document),
    ...checkStore(config, document),
    ...checkCache(config, document),
    ...checkAnswerStore(config, document),
  ];
}

function checkAdmin({ admin }: GatewayConfig, document: Document): Problem[] {
  if (isLoopback(admin.host) || admin.token !== undefined) return [];
  return [
    document.error(
      document.valueAt('/admin/host'),
      `the admin server would be open to everybody on '${admin.host}'`,
      'give it a token, or bind it to 127.0.0.1',
    ),
  ];
}

const isLoopback = (host: string) => host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);

/** Node would not start with it. */
function checkTimeouts({ listen }: GatewayConfig, document: Document): Problem[] {
  return listen.flatMap(({ limits: { headersTimeout, requestTimeout } }, index) => {
    if (requestTimeout === 0 || headersTimeout <= requestTimeout) return [];
    const limits = `/listen/${index}/limits`;
    const at = document.has(`${limits}/headersTimeout`) ? `${limits}/headersTimeout` : `${limits}/requestTimeout`;
    const message = `headersTimeout (${headersTimeout} ms) is longer than requestTimeout (${requestTimeout} ms), which is for all of a request`;
    return [document.error(document.valueAt(at), message, 'raise requestTimeout, or lower headersTimeout')];
  });
}

function checkListeners({ listen, admin }: GatewayConfig, document: Document): Problem[] {
  const problems: Problem[] = [];
  listen.forEach((listener, index) => {
    const at = `/listen/${index}/port`;
    const place = document.valueAt(at);
    const earlier = listen.slice(0, index).findIndex((other) => overlap(other, listener));
    if (earlier !== -1) {
      const { line, column } = document.valueAt(`/listen/${earlier}/port`);
      problems.push(document.error(place, `port ${listener.port} is listened on twice: first at ${line}:${column}`));
    }
    if (overlap(admin, listener)) {
      const which = document.has(at) ? place : document.valueAt('/admin/port');
      problems.push(
        document.error(which, `port ${listener.port} is the admin server's too`, 'give one of them another port'),
      );
    }
  });
  return problems;
}

interface Address {
  readonly host: string;
  readonly port: number;
}

const ANY_HOST = new Set(['0.0.0.0', '::']);

/** Port 0 takes a free one each time. */
function overlap(one: Address, other: Address): boolean {
  if (one.port !== other.port || one.port === 0) return false;
  return one.host === other.host || ANY_HOST.has(one.host) || ANY_HOST.has(other.host);
}

function checkNetworks({ trustedProxies, explain, listen }: GatewayConfig, document: Document): Problem[] {
  const written = [
    ...trustedProxies.map((network, index) => [network, `/trustedProxies/${index}`] as const),
    ...explain.from.map((network, index) => [network, `/explain/from/${index}`] as const),
    ...listen.flatMap(({ proxyProtocol }, at) =>
      (proxyProtocol?.from ?? []).map(
        (network, index) => [network, `/listen/${at}/proxyProtocol/from/${index}`] as const,
      ),
    ),
  ];
  return written.flatMap(([network, at]) => {
    try {
      compileNetworks([network]);
      return [];
    } catch (error) {
      return [document.error(document.valueAt(at), (error as Error).message)];
    }
  });
}

function checkStore({ store }: GatewayConfig, document: Document): Problem[] {
  try {
    redisOptions(store);
    return [];
  } catch (error) {
    const at = typeof store === 'string' ? '/store' : '/store/url';
    return [document.error(document.valueAt(at), (error as Error).message)];
  }
}

/** So that the largest answer never pushes out all others. */
function checkCache({ cache }: GatewayConfig, document: Document): Problem[] {
  if (cache.maxEntry * 8 <= cache.memory && cache.memory >= 1024 ** 2) return [];
  const [at, hint] =
    cache.memory < 1024 ** 2
      ? ['/cache/memory', 'cache.memory is less than 1MiB']
      : ['/cache/maxEntry', 'cache.maxEntry is more than an eighth of cache.memory'];
  return [document.error(document.valueAt(at), hint, 'give the cache more memory, or store smaller answers only')];
}

function checkAnswerStore(config: GatewayConfig, document: Document): Problem[] {
  const { store } = config.cache;
  if (store === 'redis' && config.store === 'memory') {
    return [
      document.error(
        document.valueAt('/cache/store'),
        "cache.store is 'redis', and store names none",
        'say store: redis://…, or give the cache one of its own: cache: { store: redis://… }',
      ),
    ];
  }
  // What `store` has wrong is said there.
  if (store === 'redis') return [];
  try {
    answerStoreOptions(config);
    return [];
  } catch (error) {
    const at = typeof store === 'string' ? '/cache/store' : '/cache/store/url';
    return [document.error(document.valueAt(at), (error as Error).message)];
  }
}
