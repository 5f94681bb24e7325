/** Shares the requests of a route between pools; see README.md. */
import type { RouteConfig } from '../../src/config/schema.ts';
import type { Dispatch } from '../../src/data/dispatch.ts';
import { checkFieldEdits, compileFieldEdits, type FieldEdit } from '../../src/data/fields.ts';
import { checkRewrite, compileRewrite, type Rewrite } from '../../src/data/rewrite.ts';
import { type ConfigFault, definePlugin } from '../../src/extension.ts';
import type { Pool } from '../../src/upstream/pool.ts';
import type { SplitConfig } from './schema.ts';
import { SmoothWeights } from './smooth-weights.ts';

type BranchConfig = SplitConfig[number];

export default definePlugin<SplitConfig>({
  name: 'split',
  phase: 'split',
  check: checkSplit,
  pools: (options) => options.map((branch) => branch.pool),
  create(options, context) {
    const weights = new SmoothWeights(options.map((branch) => branch.weight));
    const branches = options.map((branch) => compileBranch(branch, context.pool(branch.pool)));
    return {
      layer: (next) => (request, handler) => {
        (branches[weights.next()] as Branch)(next, request, handler);
      },
    };
  },
});

type Branch = (next: Dispatch, ...message: Parameters<Dispatch>) => void;

/** The branch's rewrite starts from what the client asked for, and so replaces the route's. */
export function compileBranch(config: BranchConfig, pool: Pool): Branch {
  const rewrite: Rewrite | undefined = config.rewrite && compileRewrite(config.rewrite);
  const editRequest: FieldEdit | undefined = compileFieldEdits(config.headers?.request);
  const editResponse: FieldEdit | undefined = compileFieldEdits(config.headers?.response);
  return (next, request, handler) => {
    request.pool = pool;
    const unsafe = rewrite?.(request.exchange, request);
    if (unsafe !== undefined) return handler.onError(unsafe);
    editRequest?.(request.fields);
    if (editResponse !== undefined) request.exchange.editResponse(editResponse);
    next(request, handler);
  };
}

export function checkSplit(
  options: SplitConfig,
  route: RouteConfig,
  pools: ReadonlySet<string>,
): readonly ConfigFault[] {
  const faults: ConfigFault[] = [];
  if (route.pool !== undefined) faults.push({ path: [], message: 'a route has a pool or a split, not both' });
  if (options.every((branch) => branch.weight === 0)) {
    faults.push({ path: [], message: 'all weights are 0: no branch would take a request' });
  }
  options.forEach((branch, index) => {
    if (!pools.has(branch.pool)) faults.push({ path: [index, 'pool'], message: `no pool is named '${branch.pool}'` });
    const below = (key: string, found: readonly ConfigFault[]): void => {
      for (const { path, message } of found) faults.push({ path: [index, key, ...path], message });
    };
    if (branch.headers !== undefined) below('headers', checkFieldEdits(branch.headers));
    if (branch.rewrite !== undefined) below('rewrite', checkRewrite(branch.rewrite, route));
  });
  return faults;
}
