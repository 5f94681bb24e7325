/**
 * Cross-origin resource sharing, as in the Fetch standard and the Gateway API's HTTPCORSFilter: the gateway alone says
 * which pages of other origins may call. It answers preflights itself; what an upstream says about it is dropped.
 */
import type { Exchange } from '../../src/data/exchange.ts';
import { compileOrigins, preflightMethod } from '../../src/data/match/origins.ts';
import { addVary } from '../../src/data/vary.ts';
import { definePlugin } from '../../src/extension.ts';
import { checkCors } from './check.ts';
import type { CorsConfig } from './schema.ts';

export default definePlugin<CorsConfig | false>({
  name: 'cors',
  phase: 'guard',
  check: (options) => (options === false ? [] : checkCors(options)),
  create(options) {
    if (options === false) return {};
    return {
      answersPreflights: true,
      onRequest({ view }, reply, done) {
        if (preflightMethod(view) === undefined) done();
        else void reply.code(204).send();
      },
      onAnswer: compileAnswer(options),
    };
  },
});

/** RFC 9110 §5.1, and nothing else than what Fetch has a browser ask for. */
const TOKENS = /^[!#$%&'*+.^_`|~\w-]+(?:[ \t]*,[ \t]*[!#$%&'*+.^_`|~\w-]+)*$/;

function compileAnswer(options: CorsConfig): (exchange: Exchange, fields: string[]) => void {
  const allowOrigin = compileAllowOrigin(options);
  const always = [
    ...(options.allowCredentials ? ['access-control-allow-credentials', 'true'] : []),
    ...list('access-control-expose-headers', options.exposeHeaders),
  ];
  const methods = compileList('access-control-allow-methods', options.allowMethods);
  const headers = compileList('access-control-allow-headers', options.allowHeaders);
  const maxAge = ['access-control-max-age', String(Math.floor(options.maxAge / 1000))];
  const variesByOrigin = !options.allowOrigins.includes('*');

  return ({ view }, fields) => {
    dropUpstreams(fields);
    const asked = preflightMethod(view);
    if (variesByOrigin) addVary(fields, 'Origin');
    if (asked !== undefined) fields.push('vary', 'Access-Control-Request-Method, Access-Control-Request-Headers');
    const origin = allowOrigin(view.header('origin'));
    if (origin === undefined) return;
    fields.push('access-control-allow-origin', origin, ...always);
    if (asked === undefined) return;
    fields.push(...methods(asked), ...headers(view.header('access-control-request-headers')), ...maxAge);
  };
}

/** `*` is the same for everybody; any other answer is for the one origin that asked (Fetch §3.3.5). */
function compileAllowOrigin({ allowOrigins }: CorsConfig): (origin: string | undefined) => string | undefined {
  if (allowOrigins.includes('*')) return () => '*';
  const origins = compileOrigins(allowOrigins);
  return (origin) => (origin !== undefined && origins.contains(origin) ? origin : undefined);
}

/**
 * `*` allows what was asked for, by name: browsers take the sign itself for a name where there are credentials, and
 * never for `authorization` (Fetch §4.8).
 */
function compileList(name: string, values: readonly string[] | undefined): (asked: string | undefined) => string[] {
  if (values?.includes('*') !== true) {
    const fixed = list(name, values);
    return () => fixed;
  }
  return (asked) => (asked !== undefined && TOKENS.test(asked) ? [name, asked] : []);
}

const list = (name: string, values: readonly string[] | undefined) =>
  values === undefined ? [] : [name, values.join(', ')];

/** Its own policy would contradict ours: of two values a browser takes neither. */
function dropUpstreams(fields: string[]): void {
  let kept = 0;
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at]!;
    // `access-control-max-age` is the shortest.
    if (name.length >= 22 && name.slice(0, 15).toLowerCase() === 'access-control-') continue;
    fields[kept++] = name;
    fields[kept++] = fields[at + 1]!;
  }
  fields.length = kept;
}
