/** Takes out of a request what its upstream must not have: credentials that were for the gateway. */
import type { UpstreamRequest } from './dispatch.ts';

/** @param name in lower case. */
export function withholdField({ fields }: UpstreamRequest, name: string): void {
  for (let at = fields.length - 2; at >= 0; at -= 2) {
    const written = fields[at]!;
    if (written.length === name.length && written.toLowerCase() === name) fields.splice(at, 2);
  }
}

/**
 * Fields of these names, and those that services take for them which map all but letters and digits to one character (CGI).
 * @param plain as `plainName` gives them.
 */
export function withholdLike({ fields }: UpstreamRequest, plain: ReadonlySet<string>): void {
  for (let at = fields.length - 2; at >= 0; at -= 2) {
    if (plain.has(plainName(fields[at]!))) fields.splice(at, 2);
  }
}

export const plainName = (name: string): string => name.toLowerCase().replace(/[^a-z0-9]+/g, '-');

/** Every cookie of that name; the others stay as they were sent. */
export function withholdCookie({ fields }: UpstreamRequest, name: string): void {
  for (let at = fields.length - 2; at >= 0; at -= 2) {
    const written = fields[at]!;
    if (written.length !== 6 || written.toLowerCase() !== 'cookie') continue;
    const kept = fields[at + 1]!.split(';').filter((pair) => nameOf(pair).trim() !== name);
    if (kept.length === 0) fields.splice(at, 2);
    else fields[at + 1] = kept.join(';').trim();
  }
}

/** Every parameter of that name, however it is encoded. */
export function withholdParameter(request: UpstreamRequest, name: string): void {
  const { target } = request;
  const mark = target.indexOf('?');
  if (mark === -1) return;
  const kept = target
    .slice(mark + 1)
    .split('&')
    .filter((pair) => decoded(nameOf(pair)) !== name);
  request.target = kept.length === 0 ? target.slice(0, mark) : `${target.slice(0, mark)}?${kept.join('&')}`;
}

/** The query as it goes on, without `?`: what must not go on anywhere must not come back in a redirect either. */
export function searchOf({ target }: UpstreamRequest): string {
  const mark = target.indexOf('?');
  return mark === -1 ? '' : target.slice(mark + 1);
}

function nameOf(pair: string): string {
  const equals = pair.indexOf('=');
  return equals === -1 ? pair : pair.slice(0, equals);
}

function decoded(name: string): string {
  try {
    return decodeURIComponent(name.replaceAll('+', ' '));
  } catch {
    return name;
  }
}
