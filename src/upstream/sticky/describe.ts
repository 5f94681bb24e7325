import type { StickyConfig } from '../../config/schema.ts';

/** `cookie:aya-orders`, `header:x-user`: what keeps clients at endpoints, in the words of pages and records. */
export function describeSticky(sticky: StickyConfig): string {
  return 'cookie' in sticky ? `cookie:${sticky.cookie}` : sticky.on;
}
