/** How users write that client certificates say who calls. Which certificates are whose is the consumers' matter. */
import Type from 'typebox';
import { object } from '../../../src/config/shapes.ts';

export interface MtlsOptions {
  forwarded: 'client-cert' | 'x-forwarded-client-cert' | false;
  unknown: 'refuse' | 'allow';
}

export default object(
  {
    forwarded: Type.Union([Type.Enum(['client-cert', 'x-forwarded-client-cert']), Type.Literal(false)], {
      default: false,
      description:
        'The field in which trustedProxies say what they have verified: Client-Cert (RFC 9440), or Envoy’s. They must drop what clients send under it.',
    }),
    unknown: Type.Enum(['refuse', 'allow'], {
      default: 'refuse',
      description: 'A verified certificate that is no consumer’s: refused, or a principal without a consumer.',
    }),
  },
  'Client certificates; the listener asks for them (tls.clientAuth).',
);
