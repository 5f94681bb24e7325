/** `cache:` of gateway.yaml: the memory that the caches of all routes share. */
import type { StaticDecode } from 'typebox';
import { settings } from './shapes.ts';
import { Size } from './units.ts';

export const CacheMemorySchema = settings(
  {
    memory: Size('For stored answers, shared by all threads; their index takes 9 % more.', '64MiB'),
    maxEntry: Size('Largest body that is stored; at most an eighth of the memory.', '1MiB'),
  },
  'Where answers are stored, for all routes that have a cache.',
);

export type CacheMemoryConfig = StaticDecode<typeof CacheMemorySchema>;
