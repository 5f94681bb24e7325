/** `acme:` of a listener's `tls`: a certificate that the gateway orders and renews itself (RFC 8555). */
import Type, { type StaticDecode } from 'typebox';
import { object, Text } from './shapes.ts';

export const LETS_ENCRYPT = 'https://acme-v02.api.letsencrypt.org/directory';

/** A host name as certificates have it, in lower case or not. What HTTP-01 cannot prove is refused by check-acme.ts. */
const Domain = Type.String({
  minLength: 1,
  maxLength: 253,
  title: 'domain',
  examples: ['api.example.com'],
  description: 'A host name, which must lead here: the authority asks on its port 80.',
});

export const AcmeSchema = object(
  {
    domains: Type.Array(Domain, { minItems: 1, maxItems: 100, description: 'The names of the one certificate.' }),
    email: Type.Optional(Text('Whom the authority may write to.')),
    termsAgreed: Type.Optional(
      Type.Boolean({ description: 'Must be true: you agree to the terms of service of the authority.' }),
    ),
    directory: Type.String({
      pattern: '^https://',
      default: LETS_ENCRYPT,
      title: 'URL of an ACME directory',
      examples: ['https://acme-staging-v02.api.letsencrypt.org/directory'],
      description:
        'Which authority. Try a new set-up on its staging directory first: failures count against its limits.',
    }),
    ca: Type.Optional(
      Text('File with the PEM certificates that the directory’s server must go back to, instead of the system’s.'),
    ),
    keyType: Type.Enum(['ec256', 'ec384', 'rsa2048', 'rsa4096'], {
      default: 'ec256',
      description: 'Of the certificate’s key, a new one with each certificate.',
    }),
    storage: Type.String({
      minLength: 1,
      default: 'acme',
      description:
        'Directory for the account’s key, certificates and their keys (0700, files 0600). With a Redis as store they are there, and this is a copy.',
    }),
    externalAccount: Type.Optional(
      object(
        {
          keyId: Text('Name of the key.'),
          macKey: Text('The key, in base64url.'),
        },
        'What binds the ACME account to one that you have with the authority, where it wants that.',
      ),
    ),
  },
  'A certificate by ACME, ordered at the start, proven over HTTP-01 and renewed after two thirds of its life. Beside others, or alone: then handshakes are refused until it is there.',
);

export type WrittenAcme = StaticDecode<typeof AcmeSchema>;

/** File names are absolute, domains in lower case. */
export type AcmeConfig = Omit<WrittenAcme, 'termsAgreed'>;
