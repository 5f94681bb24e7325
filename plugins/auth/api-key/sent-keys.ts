/** The keys that a request brings, wherever the route lets them stand. Every one counts: two are refused, also if equal. */
import type { Exchange } from '../../../src/data/exchange.ts';
import type { ApiKeyOptions } from './schema.ts';

export interface SentKey {
  readonly key: string;
  /** Browsers send cookies by themselves, whoever wrote the page. */
  readonly ambient: boolean;
}

/** @param field the header's name in lower case. */
export function sentKeys(exchange: Exchange, field: string, { query, cookie }: ApiKeyOptions): readonly SentKey[] {
  const found: SentKey[] = [];
  // A field that came twice is one text here, with a comma and a space in it: no key.
  const value = exchange.header(field);
  const key = value === undefined || field !== 'authorization' ? value : afterScheme(value);
  if (key !== undefined) found.push({ key, ambient: false });
  if (query !== undefined)
    for (const each of parameters(exchange.search, query)) found.push({ key: each, ambient: false });
  if (cookie !== undefined) for (const each of cookies(exchange, cookie)) found.push({ key: each, ambient: true });
  return found;
}

/** Other schemes are other methods' business. */
function afterScheme(value: string): string | undefined {
  return /^(?:ApiKey|Bearer) +(.*)$/i.exec(value)?.[1];
}

function parameters(search: string, name: string): string[] {
  if (search === '') return [];
  return search.split('&').flatMap((pair) => {
    const equals = pair.indexOf('=');
    if (decoded(equals === -1 ? pair : pair.slice(0, equals)) !== name) return [];
    return [equals === -1 ? '' : decoded(pair.slice(equals + 1))];
  });
}

/** As forms encode it; what cannot be decoded stays as it is, and is no key. */
function decoded(text: string): string {
  const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text;
  if (!spaced.includes('%')) return spaced;
  try {
    return decodeURIComponent(spaced);
  } catch {
    return spaced;
  }
}

function cookies({ head: { visible } }: Exchange, name: string): string[] {
  const found: string[] = [];
  for (let at = 0; at < visible.length; at += 2) {
    if (visible[at]!.toLowerCase() !== 'cookie') continue;
    for (const pair of visible[at + 1]!.split(';')) {
      const equals = pair.indexOf('=');
      if (equals !== -1 && pair.slice(0, equals).trim() === name) found.push(pair.slice(equals + 1).trim());
    }
  }
  return found;
}
