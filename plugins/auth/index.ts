/** Who a request is; see README.md. The methods are in the folders beside this file. */
import { definePlugin, type Concern, type ConfigFault, type PluginContext } from '../../src/extension.ts';
import type { Limiter } from '../../src/limits/limiter.ts';
import type { Counter } from '../../src/memory/counter-table.ts';
import { Gate, OUTCOMES, type Outcome } from './gate.ts';
import { identityTokens } from './identity-tokens.ts';
import type { AuthMethod } from './method.ts';
import { METHODS } from './methods.ts';
import type { AuthConfig } from './schema.ts';
import { sessionCookies, withholdSessions } from './session-cookies.ts';

const COUNTER = 'aya_auth_requests_total';

export default definePlugin<AuthConfig | false | undefined, Promise<Concern>>({
  name: 'auth',
  phase: 'authenticate',
  inherits: ['failures'],
  counters: [
    { name: COUNTER, help: 'Requests to routes with auth, by what came of it.', label: 'outcome', values: OUTCOMES },
  ],

  /** Elsewhere it only keeps session cookies from upstreams. */
  implied: (_route, config) => sessionCookies(config).length > 0,

  resolve(config, files) {
    const resolved = methodsOf(config).flatMap(([method, options]) =>
      method.resolve === undefined ? [] : [[method.name, within(method.name, () => method.resolve!(options, files))]],
    );
    return { ...config, ...Object.fromEntries(resolved) } as AuthConfig;
  },
  check(config, route, pools) {
    const used = methodsOf(config);
    if (used.length === 0 && config !== false)
      return [{ path: [], message: `names no method: give it one of ${NAMES.join(', ')}` }];
    return used.flatMap(([method, options]) => below(method.name, method.check?.(options, route, pools) ?? []));
  },
  checkGateway: (config, gateway) =>
    methodsOf(config).flatMap(([method, options]) => below(method.name, method.checkGateway?.(options, gateway) ?? [])),
  pools: (config) => methodsOf(config).flatMap(([method, options]) => method.pools?.(options) ?? []),
  documents: (config) => methodsOf(config).flatMap(([method, options]) => method.documents?.(options) ?? []),

  async create(config, context) {
    const sessions = sessionCookies(context.config);
    if (config === undefined || config === false) return onlyWithholding(sessions);
    const made = methodsOf(config).map(([method, options]) => method.create(options, context));
    const gate = new Gate({
      methods: await Promise.all(made),
      optional: config.optional,
      failures: failuresOf(config, context),
      identity: await identityTokens(context),
      counters: Object.fromEntries(OUTCOMES.map((outcome) => [outcome, context.counter(COUNTER, outcome)])) as Record<
        Outcome,
        Counter
      >,
    });
    return {
      onRequest(exchange, reply, done) {
        if (sessions.length > 0) withholdSessions(exchange, sessions);
        gate.admit(exchange, reply, done);
      },
    };
  },
});

function onlyWithholding(sessions: readonly string[]): Concern {
  return {
    onRequest(exchange, _reply, done) {
      withholdSessions(exchange, sessions);
      done();
    },
  };
}

const NAMES = METHODS.map(({ name }) => name);

/** The methods that a route names, with their options. */
function methodsOf(config: AuthConfig | false | undefined): [AuthMethod<unknown>, unknown][] {
  if (config === false || config === undefined) return [];
  const written = config as unknown as Readonly<Record<string, unknown>>;
  return METHODS.filter(({ name }) => written[name] !== undefined).map((method) => [
    method as AuthMethod<unknown>,
    written[method.name],
  ]);
}

/** What fails there says where, from the plugin's key on. */
function within<Resolved>(name: string, resolve: () => Resolved): Resolved {
  try {
    return resolve();
  } catch (error) {
    const { path = [] } = error as Partial<ConfigFault>;
    throw Object.assign(error as Error, { path: [name, ...path] });
  }
}

function below(name: string, faults: readonly ConfigFault[]): ConfigFault[] {
  return faults.map(({ path, message }) => ({ path: [name, ...path], message }));
}

/** Shared by all routes: who guesses on one is not heard on another. */
function failuresOf({ failures }: AuthConfig, { limits }: PluginContext): Limiter | undefined {
  if (failures === false) return undefined;
  const { max, per } = failures;
  return limits.limiter({ name: 'auth.failures', max, windowMs: per, algorithm: 'gcra', burst: max });
}
