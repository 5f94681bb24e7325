/** One document of another server: fetched within bounds, and refused when it cannot be what was meant. */
import { boundedText, fetchFailure } from '../bounded-fetch.ts';

export interface Downloaded {
  readonly text: string;
  /** What a discovery document leads to. */
  readonly link: string | undefined;
  readonly freshMs: number;
}

/** RFC 9111 §4.2: what the server says of freshness counts, within these bounds. */
const SHORTEST_MS = 60_000;
const LONGEST_MS = 3_600_000;
const DEFAULT_MS = 600_000;
const ANSWER_WITHIN_MS = 5_000;
const MOST_BYTES = 1024 * 1024;

/** @throws Error with a reason for the log, without what the server sent. */
export async function download(url: string): Promise<Downloaded> {
  try {
    const response = await fetch(url, {
      headers: { accept: 'application/json' },
      // What was configured is what is asked: an issuer that moves has to be configured anew.
      redirect: 'error',
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
    });
    if (response.status !== 200) {
      await response.body?.cancel();
      throw new Error(`status ${response.status}`);
    }
    const text = await boundedText(response, MOST_BYTES);
    const link = linkOf(JSON.parse(text), url);
    return { text, link, freshMs: freshness(response.headers.get('cache-control')) };
  } catch (error) {
    throw new Error(fetchFailure(error, ANSWER_WITHIN_MS), { cause: error });
  }
}

const DISCOVERY = '/.well-known/openid-configuration';

/** @throws for what would do harm in the place of the version before. */
function linkOf(document: unknown, url: string): string | undefined {
  if (typeof document !== 'object' || document === null || Array.isArray(document)) throw new Error('no JSON object');
  const { keys, issuer, jwks_uri: link } = document as Readonly<Record<string, unknown>>;
  // Nobody withdraws all keys of an issuer on purpose, but many have emptied a file by accident.
  if (Array.isArray(keys) && keys.length === 0) throw new Error('a set of no keys');
  if (!url.endsWith(DISCOVERY)) return undefined;
  // OpenID Connect Discovery 1.0 §4.3: else one issuer could speak for another.
  const own = url.slice(0, -DISCOVERY.length);
  if (issuer !== own && issuer !== `${own}/`) throw new Error('a discovery document of another issuer');
  if (typeof link !== 'string' || !isTrustworthy(link, url)) throw new Error('no jwks_uri that could be trusted');
  return link;
}

/** As safe as the document that names it. */
function isTrustworthy(link: string, url: string): boolean {
  if (!URL.canParse(link)) return false;
  const { protocol, username, password } = new URL(link);
  if (username !== '' || password !== '') return false;
  return protocol === 'https:' || (protocol === 'http:' && new URL(url).protocol === 'http:');
}

function freshness(cacheControl: string | null): number {
  const seconds = /(?:^|[,\s])max-age="?(\d+)/i.exec(cacheControl ?? '')?.[1];
  return seconds === undefined ? DEFAULT_MS : Math.min(Math.max(Number(seconds) * 1000, SHORTEST_MS), LONGEST_MS);
}
