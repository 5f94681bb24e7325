/** The index of known faults: what a row is, and short names for the files of tests that rows name. */

export type Test = readonly [file: string, title: string];

export interface Row {
  readonly id: string;
  readonly what: string;
  readonly tests: readonly Test[];
  /** Why it cannot happen here. */
  readonly because?: string;
}

export const held = (id: string, what: string, ...tests: (readonly Test[])[]): Row => ({
  id,
  what,
  tests: tests.flat(),
});
export const none = (id: string, what: string, because: string, ...tests: (readonly Test[])[]): Row => ({
  ...{ id, what, tests: tests.flat(), because },
});

export const inFile =
  (file: string) =>
  (...titles: string[]): Test[] =>
    titles.map((title) => [file, title]);
export const bytes = inFile('test/conformance/corpus.ts');
export const framing = inFile('test/conformance/framing.test.ts');
export const desync = inFile('test/conformance/desync.test.ts');
export const fields = inFile('test/conformance/fields.test.ts');
export const identity = inFile('test/conformance/identity.test.ts');
export const paths = inFile('test/conformance/paths.test.ts');
export const api = inFile('test/conformance/gateway-api.test.ts');
export const http2Heads = inFile('test/conformance/http2-heads.test.ts');
export const http2Bodies = inFile('test/conformance/http2-bodies.test.ts');
export const http2Floods = inFile('test/conformance/http2-floods.test.ts');
export const http2 = inFile('test/conformance/http2-connections.test.ts');
export const answers = inFile('test/faults/upstream-answers.test.ts');
export const hostile = inFile('test/faults/hostile-clients.test.ts');
export const clients = inFile('test/faults/clients-and-deadlines.test.ts');
export const failOver = inFile('test/faults/fail-over.test.ts');
export const further = inFile('test/scenarios/further-tries-have-one-budget.test.ts');
export const throws = inFile('test/faults/a-plugin-throws.test.ts');
export const discovered = inFile('test/scenarios/endpoints-are-discovered.test.ts');
export const outliers = inFile('test/scenarios/outliers.test.ts');
export const breakers = inFile('test/scenarios/breakers.test.ts');
export const upstreamTls = inFile('test/faults/upstream-tls.test.ts');
export const limits = inFile('test/scenarios/limits-hold.test.ts');
export const load = inFile('src/config/load.test.ts');
export const broken = inFile('src/config/broken-files.test.ts');
export const admin = inFile('src/control/admin/guard.test.ts');
export const tls = inFile('test/scenarios/tls-to-clients.test.ts');
export const shape = inFile('test/scenarios/requests-in-shape.test.ts');
export const rates = inFile('plugins/rate-limit/rate-limit.test.ts');
export const forged = inFile('plugins/auth/jwt/forged.test.ts');
export const keys = inFile('plugins/auth/jwt/keys.test.ts');
export const tokens = inFile('plugins/auth/jwt/jwt.test.ts');
export const apiKeys = inFile('plugins/auth/api-key/api-key.test.ts');
export const logins = inFile('plugins/auth/oidc/oidc.test.ts');
export const gatekeeper = inFile('plugins/auth/forward-auth/forward-auth.test.ts');
export const callers = inFile('test/scenarios/consumers-come-and-go.test.ts');
export const sockets = inFile('test/scenarios/websockets-pass.test.ts');
export const inspected = inFile('test/scenarios/websockets-inspected.test.ts');
export const overHttp2 = inFile('test/scenarios/websockets-over-http2.test.ts');
export const reconnects = inFile('test/scenarios/websockets-reconnect.test.ts');
export const outlive = inFile('test/scenarios/websockets-outlive-reloads.test.ts');
export const cache = inFile('test/support/cache-contract.ts');
export const cacheInTime = inFile('test/support/cache-contract-in-time.ts');
export const bombs = inFile('plugins/validate/validate.test.ts');
export const coded = inFile('plugins/compress/compress.test.ts');
export const choices = inFile('plugins/compress/accept-encoding.test.ts');
export const streams = inFile('test/scenarios/streams-flow.test.ts');
export const breaking = inFile('test/faults/streams-that-break.test.ts');
export const secrets = inFile('src/config/secret-files.test.ts');
export const json = inFile('plugins/validate/json.test.ts');
export const types = inFile('plugins/validate/content-type.test.ts');

export const OWN_CLIENT = 'the client towards upstreams is our own (docs/decisions/0005)';
export const NO_PATH_LIBRARY = 'paths are read and matched by our own code alone';

export const EVERY_SPELLING = paths('is not reached past its guard: %s', 'is not reached through a rewrite: %s');
export const OWN_FIELDS_STAY = identity('does not take away a field that the gateway adds: %s');
