/** How users write a split. */
import Type, { type Static } from 'typebox';
import { MessageFieldEditsSchema } from '../../src/config/field-edits-schema.ts';
import { RewriteSchema } from '../../src/config/rewrite-schema.ts';

const BranchSchema = Type.Object(
  {
    pool: Type.String({ minLength: 1, description: 'The pool that serves this branch.' }),
    weight: Type.Integer({
      minimum: 0,
      maximum: 1_000_000,
      default: 1,
      description: 'Its share against the others; 0 takes no traffic.',
    }),
    headers: Type.Optional(MessageFieldEditsSchema),
    rewrite: Type.Optional(RewriteSchema),
  },
  { additionalProperties: false },
);

const SplitSchema = Type.Array(BranchSchema, {
  minItems: 1,
  description: 'Shares the requests between pools, by weight. Headers and rewrite of a branch apply to it alone.',
});

export type SplitConfig = Static<typeof SplitSchema>;

declare module '../../src/config/schema.ts' {
  interface RouteConcerns {
    split: SplitConfig;
  }
}

export default SplitSchema;
