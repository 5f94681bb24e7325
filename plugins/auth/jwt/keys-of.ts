/** The keys that settings name: made once for all routes, and those that are published kept over reloads. */
import type { Config } from '../../../src/config/schema.ts';
import type { Documents } from '../../../src/data/documents.ts';
import type { PluginContext } from '../../../src/extension.ts';
import { PublishedKeys, writtenKey, type Keys } from './keys.ts';
import { keyFromPem } from './public-key.ts';
import type { KeySource, ProviderSettings } from './settings.ts';

type Published = Extract<KeySource, { kind: 'published' }>;

const written = new WeakMap<Config, Map<string, Promise<Keys>>>();
/** Held by those who use them: of a generation that serves to the one that follows it. */
const published = new WeakMap<Documents, Map<string, WeakRef<PublishedKeys>>>();

export function keysOf({ source, algorithms }: ProviderSettings, context: PluginContext): Promise<Keys> {
  if (source.kind === 'published') return publishedKeys(source, algorithms, context);
  const known = mapOf(written, context.config);
  const key = JSON.stringify([source, algorithms]);
  let keys = known.get(key);
  if (keys === undefined) known.set(key, (keys = makeWritten(source, algorithms)));
  return keys;
}

async function makeWritten(
  source: Exclude<KeySource, Published>,
  algorithms: ProviderSettings['algorithms'],
): Promise<Keys> {
  const isSecret = source.kind === 'secret';
  return writtenKey(
    isSecret ? { key: source.secret, isSecret, kid: undefined, algorithms } : keyFromPem(source.pem, algorithms),
  );
}

/** A reload that meets a broken set must not lose the good one before it, which this thread alone still has. */
async function publishedKeys(
  { url, isDiscovery }: Published,
  algorithms: ProviderSettings['algorithms'],
  { documents, clock, log }: PluginContext,
): Promise<Keys> {
  const known = mapOf(published, documents);
  const key = JSON.stringify([url, isDiscovery, algorithms]);
  let keys = known.get(key)?.deref();
  if (keys === undefined) {
    keys = new PublishedKeys({ url, isDiscovery, algorithms, documents, clock, log });
    known.set(key, new WeakRef(keys));
  }
  await keys.compiled;
  return keys;
}

function mapOf<Owner extends object, Value>(all: WeakMap<Owner, Map<string, Value>>, owner: Owner): Map<string, Value> {
  let found = all.get(owner);
  if (found === undefined) all.set(owner, (found = new Map()));
  return found;
}
