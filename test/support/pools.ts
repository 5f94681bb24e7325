/** What a gateway shows of its pools, and who serves requests of them. */
import type { GatewayFixture } from './gateway.ts';
import type { Echo } from './upstream.ts';

export interface PoolState {
  readonly name: string;
  readonly panic: boolean;
  readonly tiers: readonly { readonly priority: number | 'backup'; readonly zone?: string; readonly share: number }[];
  readonly endpoints: readonly {
    readonly url: string;
    readonly state: string;
    readonly reason: string;
    readonly inFlight: number;
    readonly keepsSessions?: boolean;
    readonly slowStart?: { readonly share: number; readonly leftSeconds: number };
  }[];
}

export async function poolState(gateway: GatewayFixture, name: string): Promise<PoolState> {
  const { pools } = JSON.parse((await gateway.admin('/pools')).body) as { pools: PoolState[] };
  return pools.find((pool) => pool.name === name)!;
}

/** Shares of the pool's tiers, in their order. */
export const sharesOf = async (gateway: GatewayFixture, name: string): Promise<number[]> =>
  (await poolState(gateway, name)).tiers.map(({ share }) => share);

export interface Served {
  readonly statuses: readonly number[];
  /** Answers by the name of the upstream that gave them. */
  readonly by: Readonly<Record<string, number>>;
}

/** @param clients that ask at once, each `count` times. */
export async function serve(gateway: GatewayFixture, path: string, count: number, clients = 1): Promise<Served> {
  const statuses: number[] = [];
  const by: Record<string, number> = {};
  const client = async () => {
    for (let at = 0; at < count; at++) {
      const answer = await fetch(gateway.url + path);
      const text = await answer.text();
      statuses.push(answer.status);
      const instance = answer.ok ? (JSON.parse(text) as Echo).instance : String(answer.status);
      by[instance] = (by[instance] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  return { statuses, by };
}
