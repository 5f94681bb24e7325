/** How users write what clients are told about keeping answers. */
import Type, { type StaticDecode } from 'typebox';
import { Duration } from '../../src/config/units.ts';

const ClientCacheSchema = Type.Union(
  [
    Type.Literal(false, { description: 'Clients hear what the service says.' }),
    Type.Object(
      {
        privacy: Type.Enum(['private', 'public', 'no-cache', 'no-store'], {
          description:
            'private: the client alone may keep an answer; public: caches between it and the gateway, too; no-cache: it asks each time whether what it has is still good; no-store: nobody keeps it.',
        }),
        expiresIn: Type.Optional(Duration('How long, counted from now: max-age. Of private and public.')),
        serverExpiresIn: Type.Optional(Duration('How long in caches between: s-maxage. Of public.')),
        expires: Type.Boolean({
          default: false,
          description: 'Says expiresIn as Expires, too, for caches that know no Cache-Control.',
        }),
        override: Type.Boolean({
          default: false,
          description:
            'Takes the place of what the service says. What it keeps private or out of caches stays so all the same.',
        }),
      },
      { additionalProperties: false },
    ),
  ],
  { description: 'What clients are told about keeping good answers of services: Cache-Control and Expires.' },
);

export type ClientCacheConfig = StaticDecode<typeof ClientCacheSchema>;
export type ClientCacheOptions = Exclude<ClientCacheConfig, false>;

declare module '../../src/config/schema.ts' {
  interface RouteConcerns {
    clientCache: ClientCacheConfig;
  }
}

export default ClientCacheSchema;
