/** How users write what a principal may do. */
import Type from 'typebox';
import { ExpressionFault, compileExpression } from '../../src/expressions/expression.ts';
import { object, Text } from '../../src/config/shapes.ts';
import type { ConfigFault } from '../../src/extension.ts';

export interface AuthorizeConfig {
  groups?: string[];
  consumers?: string[];
  scopes?: string[];
  claims?: Record<string, string | string[]>;
  when?: string;
}

declare module '../../src/config/schema.ts' {
  interface RouteConcerns {
    authorize: AuthorizeConfig;
  }
}

/** Compiled here, where the library of expressions is loaded anyway. */
export function check({ when }: AuthorizeConfig): readonly ConfigFault[] {
  if (when === undefined) return [];
  try {
    compileExpression(when, 'bool');
    return [];
  } catch (error) {
    if (!(error instanceof ExpressionFault)) throw error;
    return [{ path: ['when'], message: `${error.message} (character ${error.offset + 1})` }];
  }
}

const Names = (description: string) => Type.Optional(Type.Array(Type.String(), { minItems: 1, description }));

export default object(
  {
    groups: Names('It is in one of these groups.'),
    consumers: Names('It is one of these consumers.'),
    scopes: Names('It has all of these scopes.'),
    claims: Type.Optional(
      Type.Record(Type.String(), Type.Union([Type.String(), Type.Array(Type.String(), { minItems: 1 })]), {
        description: 'Its token has all of these claims, each with this value or one of these.',
      }),
    ),
    when: Type.Optional(Text('An expression in CEL that must be true, over request, principal, route and now.')),
  },
  'What a principal must be to pass: all that is given must hold, else 403.',
);
