/** How users write compression. */
import Type, { type StaticDecode } from 'typebox';
import { complete } from '../../src/config/complete.ts';
import { Size } from '../../src/config/units.ts';

/** What is text by nature. Images, films, archives and WOFF2 fonts are compressed already. */
const TYPES = [
  'text/*',
  'application/json',
  'application/*+json',
  'application/x-ndjson',
  'application/xml',
  'application/*+xml',
  'application/javascript',
  'application/wasm',
  'application/vnd.ms-fontobject',
  'font/otf',
  'font/ttf',
  'image/svg+xml',
  'image/bmp',
  'image/x-icon',
  'image/vnd.microsoft.icon',
];

const TOKEN = "[A-Za-z0-9!#$%&'*+.^_`|~-]";

/** Brotli above 6 takes 34 MiB for each answer under way: that is for files that are compressed once. */
const Level = (written: number, maximum: number) => Type.Integer({ minimum: 1, maximum, default: written });

const CompressObject = Type.Object(
  {
    encodings: Type.Array(Type.Enum(['zstd', 'br', 'gzip']), {
      minItems: 1,
      uniqueItems: true,
      default: ['zstd', 'br', 'gzip'],
      description: 'What is offered; the first wins where a client likes several equally.',
    }),
    types: Type.Array(Type.String({ pattern: `^${TOKEN}+/${TOKEN}+$`, examples: ['text/*', 'application/*+json'] }), {
      minItems: 1,
      uniqueItems: true,
      default: TYPES,
      description:
        'Media types that are compressed: type/subtype, type/* or type/*+suffix. Event streams and gRPC never.',
    }),
    minSize: Size('Smaller bodies go as they are: they fit a packet or two anyway.', '1KiB'),
    levels: Type.Object(
      { zstd: Level(3, 9), br: Level(4, 6), gzip: Level(5, 9) },
      {
        additionalProperties: false,
        default: {},
        description: 'How hard each tries. Higher ones cost CPU, and memory for each answer under way (README).',
      },
    ),
    upstream: Type.Enum(['pass', 'identity'], {
      default: 'pass',
      description:
        'pass: the upstream learns what the client accepts, and may compress itself. identity: it is asked not to, so that all is compressed here.',
    }),
    concurrency: Type.Integer({
      minimum: 1,
      maximum: 10_000,
      default: 64,
      description: 'Streams compressed at once, for each thread over all routes. Beyond it answers go as they are.',
    }),
  },
  { additionalProperties: false },
);

export type CompressConfig = StaticDecode<typeof CompressObject>;

declare module '../../src/config/schema.ts' {
  interface RouteConcerns {
    compress: CompressConfig | false;
  }
}

const On = Type.Codec(Type.Literal(true))
  .Decode(() => complete(CompressObject, {}) as CompressConfig)
  .Encode(() => true as const);

export default Type.Union([CompressObject, On, Type.Literal(false)], {
  description: 'Compresses answers for clients that accept it; true for the defaults.',
});
