/** Another path or host towards the upstream; see README.md. */
import { checkRewrite, compileRewrite, RewriteSchema, type RewriteConfig } from '../../src/data/rewrite.ts';
import { definePlugin } from '../../src/extension.ts';

declare module '../../src/config/schema.ts' {
  interface RouteConcerns {
    rewrite: RewriteConfig;
  }
}

export default definePlugin<RewriteConfig>({
  name: 'rewrite',
  phase: 'transform',
  schema: RewriteSchema,
  check: checkRewrite,
  create(options) {
    const rewrite = compileRewrite(options);
    return {
      onRequest(exchange, _reply, done) {
        done(rewrite(exchange, exchange.upstream));
      },
    };
  },
});
