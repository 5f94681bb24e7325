/** How users write that client certificates say who calls. Which certificates are whose is the consumers' matter. */
import Type from 'typebox';
import { object } from '../../../src/config/shapes.ts';

export interface MtlsOptions {
  forwarded: boolean;
  unknown: 'refuse' | 'allow';
}

export default object(
  {
    forwarded: Type.Boolean({
      default: false,
      description:
        'Believe Client-Cert (RFC 9440) and X-Forwarded-Client-Cert of trustedProxies, which have verified it.',
    }),
    unknown: Type.Enum(['refuse', 'allow'], {
      default: 'refuse',
      description: 'A verified certificate that is no consumer’s: refused, or a principal without a consumer.',
    }),
  },
  'Client certificates; the listener asks for them (tls.clientAuth).',
);
