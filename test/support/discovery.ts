/** A gateway with one pool whose endpoints are found, and what it shows of them. */
import { gatewayFixture, type GatewayFixture } from './gateway.ts';

export const discoveringService = (pool: object) => ({
  pools: { orders: pool },
  routes: [{ name: 'orders', match: { path: '/orders/*' }, pool: 'orders' }],
});

export const startDiscovering = (pool: object, gateway: object = {}): Promise<GatewayFixture> =>
  gatewayFixture({ gateway, files: { 'orders.yaml': discoveringService(pool) } });

export interface ShownPool {
  readonly available: number;
  readonly discovery: {
    readonly source: string;
    readonly endpoints: number;
    readonly failure?: string;
    readonly failures: number;
    readonly ageSeconds: number | null;
  };
  readonly endpoints: readonly {
    readonly url: string;
    readonly state: string;
    readonly weight: number;
    readonly backup: boolean;
    readonly discoveredBy?: string;
  }[];
}

export async function shown(gateway: GatewayFixture): Promise<ShownPool> {
  const { pools } = JSON.parse((await gateway.admin('/pools')).body) as { pools: ShownPool[] };
  return pools[0]!;
}

export const urlsOf = async (gateway: GatewayFixture) => (await shown(gateway)).endpoints.map(({ url }) => url).sort();

export const statusOf = async (gateway: GatewayFixture) => (await fetch(`${gateway.url}/orders/1`)).status;
