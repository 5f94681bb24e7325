/** Which test files come first: those that last longest, so that nobody waits for the last of them alone. */
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Vitest knows how long a file took the last time. A clean checkout knows nothing, and would go by size. */
const LONGEST: readonly string[] = [
  'test/package',
  'test/scenarios/a-fleet-of-gateways',
  'test/simulation/simulation',
  'test/simulation/short-runs',
  'plugins/auth/oidc/oidc',
  'test/faults/hostile-clients',
  'test/scenarios/consumers-come-and-go',
  'test/scenarios/certificates-by-acme',
  'test/scenarios/large-bodies',
  'test/scenarios/http2-upstreams',
  'test/simulation/leases',
  'test/scenarios/slow-starts',
  'test/faults/http2-endpoints-leave',
  'test/scenarios/websockets-over-http2',
  'test/scenarios/limits-hold',
  'test/scenarios/endpoints-are-discovered',
  'test/scenarios/a-reload-loses-no-request',
  'plugins/compress/compress',
  'test/scenarios/acme-in-a-fleet',
  'test/faults/fail-over',
  'test/scenarios/grpc-passes',
  'test/scenarios/websockets-outlive-reloads',
];

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const at = LONGEST.findIndex((name) => moduleId.endsWith(`/${name}.test.ts`));
      return at === -1 ? LONGEST.length : at;
    };
    return (await super.sort(files)).sort((one, other) => rank(one) - rank(other));
  }
}
