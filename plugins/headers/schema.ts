/** How users write edits of header fields: the same as in a branch of a split. */
import { MessageFieldEditsSchema, type MessageFieldEditsConfig } from '../../src/config/field-edits-schema.ts';

declare module '../../src/config/schema.ts' {
  interface RouteConcerns {
    headers: MessageFieldEditsConfig;
  }
}

export default MessageFieldEditsSchema;
