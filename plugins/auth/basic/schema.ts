/** How users write HTTP Basic. Names and passwords are consumers' (gateway.yaml, consumers.d). */
import Type from 'typebox';
import { object } from '../../../src/config/shapes.ts';

export interface BasicOptions {
  realm: string;
  forward: boolean;
}

export default object(
  {
    realm: Type.String({
      default: 'aya',
      // It stands between quotes in a field.
      pattern: '^[ !#-\\[\\]-~]{1,128}$',
      title: 'text without quotes',
      examples: ['Orders'],
      description: 'What browsers show when they ask.',
    }),
    forward: Type.Boolean({ default: false, description: 'Whether the upstream gets name and password too.' }),
  },
  'Names and passwords of consumers (HTTP Basic, RFC 7617).',
);
