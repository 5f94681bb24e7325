import type { Exchange } from '../../src/data/exchange.ts';
import { GatewayError } from '../../src/errors.ts';
import { definePlugin, type ConfigFault } from '../../src/extension.ts';
import { checkContract, compileContract } from './contract.ts';
import { checkOpenApi, compileOpenApi } from './openapi.ts';
import { resolveOptions, type OpenApiFile, type ValidateOptions } from './options.ts';
import { Validation, type Applied } from './validation.ts';

export default definePlugin<ValidateOptions | false>({
  name: 'validate',
  phase: 'validate',
  counters: [
    {
      name: 'aya_validation_total',
      help: 'Requests that were checked against a schema.',
      label: 'outcome',
      values: ['valid', 'invalid', 'reported'],
    },
  ],
  resolve: (options, files) => options && resolveOptions(options, files),
  check(options) {
    if (options === false) return [];
    const { openapi } = options;
    const faults =
      openapi === undefined
        ? [...emptyFaults(options), ...checkContract(options)]
        : checkOpenApiOptions(options, openapi);
    return [...sizeFaults(options), ...faults];
  },
  create(options, context) {
    if (options === false) return {};
    const find = options.openapi === undefined ? findAlways(options) : findOperation(options, options.openapi);
    const validation = new Validation(find, options, context);
    return { onRequest: (exchange, _reply, done) => validation.judge(exchange, done) };
  },
});

const OWN_KEYS = ['body', 'query', 'headers', 'cookies', 'contentTypes'] as const;

function emptyFaults(options: ValidateOptions): ConfigFault[] {
  if (OWN_KEYS.some((key) => options[key] !== undefined)) return [];
  return [{ path: [], message: `expected openapi, or one of ${OWN_KEYS.join(', ')}` }];
}

/** Decoders take no limit below one byte. */
function sizeFaults({ maxDecoded }: ValidateOptions): ConfigFault[] {
  return maxDecoded > 0
    ? []
    : [{ path: ['maxDecoded'], message: 'would refuse every body: allow at least 1B, or remove the route' }];
}

function checkOpenApiOptions(options: ValidateOptions, openapi: OpenApiFile): ConfigFault[] {
  const beside = OWN_KEYS.filter((key) => options[key] !== undefined);
  const faults = beside.map((key) => ({ path: [key], message: 'openapi says it already: keep one of them' }));
  return [...faults, ...checkOpenApi(openapi)];
}

const NO_VALUES: ReadonlyMap<string, string> = new Map();

function findAlways(options: ValidateOptions): () => Applied {
  const applied = { contract: compileContract(options), path: NO_VALUES };
  return () => applied;
}

/** What an operation says of a request, by path and method. */
function findOperation({ base, unknown }: ValidateOptions, openapi: OpenApiFile) {
  const templates = compileOpenApi(openapi);
  const depth = base.split('/').length - 1;
  return ({ method, path, view }: Exchange): Applied | undefined => {
    const isBelow = view.path === base || view.path.startsWith(`${base}/`);
    // Matched as routes are, without `;parameters`; the values are those that the service will read.
    const sent = path.split('/').slice(depth).join('/');
    const match = isBelow ? templates.find(view.path.slice(base.length), sent) : undefined;
    const contract = match?.item.get(method);
    if (match !== undefined && contract !== undefined) return { contract, path: decoded(match.values) };
    if (unknown === 'pass') return undefined;
    throw match === undefined ? noSuchPath() : noSuchMethod([...match.item.keys()]);
  };
}

/** A path is UTF-8 once it was normalised. */
function decoded(values: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  return new Map([...values].map(([name, value]) => [name, decodeURIComponent(value)]));
}

function noSuchPath(): GatewayError {
  const detail = 'The API has no such path.';
  return new GatewayError('http_request_denied', detail, { status: 404, detail });
}

function noSuchMethod(methods: readonly string[]): GatewayError {
  const detail = 'The API has this path, but not with this method.';
  return new GatewayError('http_request_denied', detail, {
    status: 405,
    detail,
    fields: ['allow', methods.join(', ')],
  });
}
