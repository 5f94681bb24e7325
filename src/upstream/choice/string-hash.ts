/**
 * A fast 32-bit hash of a string: FNV-1a over its UTF-16 units, then murmur3's finalizer, without which the low bits of
 * short, similar keys (`user-1`, `user-2`) would hardly differ. Not for secrets: whoever chooses the keys can find
 * collisions. The same everywhere, so that all threads and all gateways send a key to the same endpoint.
 */
export function hashString(text: string, seed = 0): number {
  let hash = 0x811c9dc5 ^ seed;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return mix(hash);
}

/** Every bit of the input moves every bit of the result. Unsigned. */
export function mix(hash: number): number {
  let mixed = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
