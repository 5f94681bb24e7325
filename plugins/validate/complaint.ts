/** What is wrong with a request, in the client's words, and the problem that tells it (RFC 9457 §3.2). */
import { GatewayError } from '../../src/errors.ts';

export type Part = 'body' | 'query' | 'path' | 'header' | 'cookie';

export interface Complaint {
  /** JSON pointer as a URI fragment (RFC 6901 §6); `#` for the whole part. */
  readonly pointer: string;
  /** Never holds a value of the request. */
  readonly detail: string;
  readonly in: Part;
}

export const MOST_COMPLAINTS = 10;
/** Names in pointers are the client's. */
const LONGEST_POINTER = 256;

export function complaint(part: Part, detail: string, pointer = ''): Complaint {
  const short = pointer.slice(0, LONGEST_POINTER).toWellFormed();
  return { pointer: `#${encodeURI(short).replaceAll('#', '%23')}`, detail, in: part };
}

/** `/` and `~` in names (RFC 6901 §3). */
export const segment = (name: string): string => `/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`;

export function invalid(complaints: readonly Complaint[]): GatewayError {
  const errors = complaints.slice(0, MOST_COMPLAINTS);
  const [first] = errors;
  return new GatewayError('http_request_denied', `invalid ${first?.in}: ${first?.pointer} ${first?.detail}`, {
    status: 400,
    detail: 'The request is not what this service takes; errors says why.',
    extensions: { errors },
  });
}
