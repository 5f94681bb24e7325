/** Another path or host towards the upstream; see README.md. */
import type { RewriteConfig } from '../../src/config/rewrite-schema.ts';
import { checkRewrite, compileRewrite } from '../../src/data/rewrite.ts';
import { definePlugin } from '../../src/extension.ts';

export default definePlugin<RewriteConfig>({
  name: 'rewrite',
  phase: 'transform',
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
