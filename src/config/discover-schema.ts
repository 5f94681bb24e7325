/** `discover:` of a pool: one of the sources that the folder src/discovery/sources holds, and what is the same for all. */
import Type, { type TSchema } from 'typebox';
import { object } from './shapes.ts';

export interface SourceSettings {
  readonly name: string;
  /** For the reference. */
  readonly about: string;
  readonly settings: Readonly<Record<string, TSchema>>;
}

const Most = Type.Integer({
  minimum: 1,
  maximum: 10_000,
  default: 1000,
  description: 'A larger set is refused, and the one before serves on.',
});

export const discoverSchema = (sources: readonly SourceSettings[]) =>
  Type.Union(
    sources.map(({ about, settings }) => object({ ...settings, max: Most }, about)),
    { description: 'Where further endpoints are found, and followed as they come and go.' },
  );

export interface DiscoverConfig {
  /** The source: its name is the setting that says what to look for. */
  readonly kind: string;
  /** Most endpoints. */
  readonly max: number;
  /** For endpoints of which the source does not say it. */
  readonly scheme?: 'http' | 'https';
  readonly port?: number;
  readonly [setting: string]: unknown;
}
