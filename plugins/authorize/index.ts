/** Whether this principal may do this; see README.md. */
import { GatewayError } from '../../src/errors.ts';
import { definePlugin, type Concern, type PluginContext } from '../../src/extension.ts';
import { compileGroupRule } from '../../src/data/group-routes.ts';
import type { Principal } from '../../src/data/principal.ts';
import type { Exchange } from '../../src/data/exchange.ts';
import type { AuthorizeConfig } from './schema.ts';

const COUNTER = 'aya_authorization_total';

/** @returns why not; undefined: it may. */
type Rule = (exchange: Exchange) => string | undefined;

export default definePlugin<AuthorizeConfig | undefined, Promise<Concern>>({
  name: 'authorize',
  phase: 'authorize',
  counters: [
    {
      name: COUNTER,
      help: 'Decisions of authorize; error: an expression failed, and the request was denied.',
      label: 'decision',
      values: ['allowed', 'denied', 'error'],
    },
  ],

  /** Groups may leave only some routes to their members. */
  implied(route, { gateway: { groups } }) {
    return hasAuth(route as { auth?: unknown }) && compileGroupRule(groups, route.name) !== undefined;
  },

  check(config = {}, route) {
    if (Object.keys(config).length === 0) return [{ path: [], message: 'asks for nothing: give it groups or when' }];
    const asked = (['groups', 'consumers', 'scopes', 'claims'] as const).find((key) => config[key] !== undefined);
    if (asked === undefined || hasAuth(route as { auth?: unknown })) return [];
    return [{ path: [asked], message: 'nobody is known on this route: give it auth too' }];
  },

  async create(config = {}, context) {
    const rules: Rule[] = [...groupRules(context), ...membershipRules(config)];
    const allowed = context.counter(COUNTER, 'allowed');
    const denied = context.counter(COUNTER, 'denied');
    const failed = context.counter(COUNTER, 'error');
    if (config.when !== undefined) {
      const [{ compileExpression }, { factsOf }] = await Promise.all([
        import('../../src/expressions/expression.ts'),
        import('../../src/expressions/facts.ts'),
      ]);
      const expression = compileExpression(config.when, 'bool');
      rules.push((exchange) => {
        try {
          return expression(factsOf(exchange, context.clock)) === true ? undefined : 'when is not true';
        } catch (error) {
          // A claim that is not there, a number that is none: what cannot be shown to be allowed is denied.
          failed.increment();
          const { summary, message } = error as Error & { summary?: string };
          return `when failed: ${summary ?? message}`;
        }
      });
    }
    return {
      onRequest(exchange, _reply, done) {
        for (const rule of rules) {
          const reason = rule(exchange);
          if (reason === undefined) continue;
          denied.increment();
          return done(refusal(exchange, reason, config));
        }
        allowed.increment();
        done();
      },
    };
  },
});

const hasAuth = ({ auth }: { auth?: unknown }) => auth !== undefined && auth !== false;

function* groupRules({ route, config: { gateway } }: PluginContext): Generator<Rule> {
  const mayUse = compileGroupRule(gateway.groups, route.name);
  if (mayUse === undefined) return;
  yield ({ principal }) => (mayUse(principal?.groups ?? []) ? undefined : 'its groups may not use this route');
}

function* membershipRules({ groups, consumers, scopes, claims }: AuthorizeConfig): Generator<Rule> {
  if (consumers !== undefined) {
    yield ({ consumer }) => (consumers.includes(consumer) ? undefined : 'not one of the consumers');
  }
  if (groups !== undefined) {
    yield ({ principal }) =>
      principal?.groups.some((group) => groups.includes(group)) === true ? undefined : 'in none of the groups';
  }
  if (scopes !== undefined) {
    yield ({ principal }) =>
      scopes.every((scope) => principal?.scopes.includes(scope) === true) ? undefined : MISSING_SCOPE;
  }
  for (const [name, wanted] of Object.entries(claims ?? {})) {
    const values = [wanted].flat();
    yield ({ principal }) => (hasClaim(principal, name, values) ? undefined : `claim '${name}' is another`);
  }
}

const MISSING_SCOPE = 'a scope is missing';

function hasClaim(principal: Principal | undefined, name: string, values: readonly string[]): boolean {
  if (principal === undefined || !Object.hasOwn(principal.claims, name)) return false;
  return [principal.claims[name]].flat().some((value) => isScalar(value) && values.includes(String(value)));
}

const isScalar = (value: unknown) => ['string', 'number', 'boolean'].includes(typeof value);

function refusal({ principal }: Exchange, reason: string, { scopes = [] }: AuthorizeConfig): GatewayError {
  // RFC 6750 §3.1: who has a token is told which one would do.
  const challenge = `Bearer error="insufficient_scope", scope="${scopes.join(' ')}"`;
  const isScope = reason === MISSING_SCOPE && principal?.method === 'jwt';
  return new GatewayError('http_request_denied', `authorize: ${reason}`, {
    status: 403,
    detail: 'The caller is not allowed to do this.',
    ...(isScope ? { fields: ['www-authenticate', challenge] } : {}),
  });
}
