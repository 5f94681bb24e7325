/** placeholder while the seams settle; the data plane's author replaces the body, not these members */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { PickRequest } from '../upstream/endpoint.ts';

export interface Exchange extends PickRequest {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  /** When its head was read, on the clock's scale. */
  readonly startedAt: number;
  readonly id: string;
  /** As the client means it: the matcher's host, without port, in lower case. */
  readonly host: string;
  /** host[:port] as the client wrote it. */
  readonly authority: string;
  readonly scheme: 'http' | 'https';
  /** The port that the client asked (from authority, else the listener's). */
  readonly port: number;
  readonly method: string;
  /** The normalised path, without query. */
  readonly path: string;
  /** Without `?`; empty when there is none. */
  readonly search: string;
  readonly clientAddress: string;
  readonly routeName: string;
  /** What the route's path matched: `/orders` for `/orders/*`; the whole path for an exact or regex match. */
  readonly matchedPrefix: string;
  /** The request as it will leave; hooks of the transform phase change it. */
  readonly upstream: import('./dispatch.ts').UpstreamRequest;
  /** Further tries after the first. */
  retries: number;
  /** Milliseconds left for the head over all tries. */
  remainingMs(): number;
  /** Adds an edit of the answer's fields, run on the head just before it goes to the client. */
  editResponse(edit: (fields: string[]) => void): void;
}
