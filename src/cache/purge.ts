/** What an operator wants forgotten: by URL, by the beginning of URLs, by tag. */
import type { StoredHead } from './stored-answer.ts';

export interface Purge {
  readonly url: readonly string[];
  readonly prefix: readonly string[];
  readonly tag: readonly string[];
}

export class PurgeRefused extends Error {
  override readonly name = 'PurgeRefused';
}

/** Says of the head of a record whether it has to go. @throws PurgeRefused with a sentence for the operator. */
export function purgeJudge(purge: Purge): (head: string) => boolean {
  if (purge.url.length + purge.prefix.length + purge.tag.length === 0) {
    throw new PurgeRefused('say what to purge: url=https://…, prefix=https://… or tag=…');
  }
  const urls = new Set(purge.url.map(canonical));
  const prefixes = purge.prefix.map(canonical);
  const tags = new Set(purge.tag);
  return (text) => {
    const head = JSON.parse(text) as StoredHead;
    if (head.tags.some((tag) => tags.has(tag))) return true;
    if (urls.size === 0 && prefixes.length === 0) return false;
    const url = spelled(head.url);
    return urls.has(url) || prefixes.some((prefix) => url.startsWith(prefix));
  };
}

function canonical(url: string): string {
  if (!/^https?:\/\//i.test(url) || !URL.canParse(url)) {
    throw new PurgeRefused(
      `'${url}' is not a URL such as https://api.example.com/orders/7: scheme and host belong to it`,
    );
  }
  return spelled(url);
}

/** In one spelling: host in lower case, no default port. */
export function spelled(url: string): string {
  const { protocol, host, pathname, search } = URL.parse(url) ?? { protocol: '', host: '', pathname: url, search: '' };
  return `${protocol}//${host}${pathname}${search}`;
}
