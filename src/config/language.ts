/** The whole language: the core's schemas joined by those of the plugins, balancers and discovery sources that the folders hold. */
import type { ValidateFunction } from 'ajv';
import type { TSchema } from 'typebox';
import { scanSources, type SourceDefinitions } from '../discovery/source.ts';
import { scanChecks, scanPlugins, scanSchemas, type AnyPlugin } from '../extension.ts';
import { balancerNames, scanBalancers } from '../upstream/balance.ts';
import { compile } from './fits.ts';
import { consumerFileSchema, gatewayFileSchema, poolSchema, routeFileSchema, routeSchema } from './schema.ts';
import { userSchema } from './user-schema.ts';

export interface Language {
  readonly plugins: readonly AnyPlugin[];
  readonly sources: SourceDefinitions;
  /** As the code sees them: everything is there. */
  readonly schemas: {
    readonly routeFile: TSchema;
    readonly gatewayFile: TSchema;
    readonly consumerFile: TSchema;
    readonly pool: TSchema;
    readonly route: TSchema;
  };
  /** Against what users write. */
  readonly checkRouteFile: ValidateFunction;
  readonly checkGatewayFile: ValidateFunction;
  readonly checkConsumerFile: ValidateFunction;
}

/** @param written how the options of each plugin are written, in the order of the plugins. */
export function createLanguage(
  plugins: readonly AnyPlugin[],
  written: readonly TSchema[],
  balancers: readonly string[],
  sources: SourceDefinitions,
): Language {
  const concerns = Object.fromEntries(plugins.map((plugin, at) => [plugin.name, written[at]!]));
  const found = [...sources.values()];
  const routeFile = routeFileSchema(concerns, balancers, found);
  const gatewayFile = gatewayFileSchema(concerns);
  return {
    plugins,
    sources,
    schemas: {
      routeFile,
      gatewayFile,
      consumerFile: consumerFileSchema,
      pool: poolSchema(balancers, found),
      route: routeSchema(concerns),
    },
    checkRouteFile: compile(userSchema(routeFile)),
    checkGatewayFile: compile(userSchema(gatewayFile)),
    checkConsumerFile: compile(userSchema(consumerFileSchema)),
  };
}

let scanned: Promise<Language> | undefined;

/** That of the folders `plugins/`, `src/upstream/balancers/` and `src/discovery/sources/`, read once. */
export function scanLanguage(): Promise<Language> {
  scanned ??= Promise.all([scanPlugins(), scanChecks(), scanSchemas(), scanBalancers(), scanSources()]).then(
    ([plugins, checks, schemas, balancers, sources]) =>
      createLanguage(withChecks(plugins, checks), schemas, balancerNames(balancers), sources),
  );
  return scanned;
}

/** Each plugin with both of its checks: its own, and the one beside its schema. */
function withChecks(plugins: readonly AnyPlugin[], checks: readonly AnyPlugin['check'][]): AnyPlugin[] {
  return plugins.map((plugin, at): AnyPlugin => {
    const further = checks[at];
    if (further === undefined) return plugin;
    return { ...plugin, check: (...told) => [...(plugin.check?.(...told) ?? []), ...further(...told)] };
  });
}
