/** Header fields set, added, removed, on the way to the upstream and on the way back; see README.md. */
import type { MessageFieldEditsConfig } from '../../src/config/field-edits-schema.ts';
import { checkFieldEdits, compileFieldEdits } from '../../src/data/fields.ts';
import { definePlugin } from '../../src/extension.ts';

export default definePlugin<MessageFieldEditsConfig>({
  name: 'headers',
  phase: 'transform',
  check: checkFieldEdits,
  create(options) {
    const editRequest = compileFieldEdits(options.request);
    const editResponse = compileFieldEdits(options.response);
    return {
      onRequest(exchange, _reply, done) {
        editRequest?.(exchange.upstream.fields);
        if (editResponse !== undefined) exchange.editResponse(editResponse);
        done();
      },
    };
  },
});
