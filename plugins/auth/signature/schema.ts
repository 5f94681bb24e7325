/** How users write what signed requests must be like. The keys are consumers'. */
import Type from 'typebox';
import { object } from '../../../src/config/shapes.ts';
import { Duration, Size } from '../../../src/config/units.ts';

export interface SignatureOptions {
  components: string[];
  maxAge: number;
  clockTolerance: number;
  nonce: boolean;
  body: 'verify' | 'ignore';
  maxBody: number;
}

export default object(
  {
    components: Type.Array(
      Type.String({
        pattern: "^(?:@(?:method|target-uri|authority|scheme|request-target|path|query)|[a-z0-9!#$%&'*+.^_`|~-]+)$",
        title: 'component',
        examples: ['@method', 'content-type'],
        description: 'A derived component, or a field in lower case.',
      }),
      {
        minItems: 1,
        default: ['@method', '@authority', '@path', '@query'],
        description: 'What every signature must cover (RFC 9421 §2).',
      },
    ),
    maxAge: Duration('How old a signature may be; it must say when it was created.', '5m'),
    clockTolerance: Duration('How far the clock of a client may be off.', '30s'),
    nonce: Type.Boolean({
      default: false,
      description: 'A signature must carry a nonce, and is taken once: nobody can send a request again.',
    }),
    body: Type.Enum(['verify', 'ignore'], {
      default: 'verify',
      description: 'verify: a request with a body must cover content-digest (RFC 9530), and the body must have it.',
    }),
    maxBody: Size('Largest body that is read to be verified (413).', '1MiB'),
  },
  'Signed requests (RFC 9421, HTTP Message Signatures).',
);
