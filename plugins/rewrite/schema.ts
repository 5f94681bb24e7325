/** How users write a rewrite: the same as in a branch of a split. */
import { RewriteSchema, type RewriteConfig } from '../../src/config/rewrite-schema.ts';

declare module '../../src/config/schema.ts' {
  interface RouteConcerns {
    rewrite: RewriteConfig;
  }
}

export default RewriteSchema;
