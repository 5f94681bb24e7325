/** What a gateway's metrics page says. */
import type { GatewayFixture } from './gateway.ts';

/** The sum of a family's samples, over all labels that hold `labels`. */
export async function metric(gateway: GatewayFixture, name: string, labels = ''): Promise<number> {
  const { body } = await gateway.admin('/metrics');
  return body
    .split('\n')
    .filter((line) => (line.startsWith(`${name} `) || line.startsWith(`${name}{`)) && line.includes(labels))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}
