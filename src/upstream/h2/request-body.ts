/**
 * A streamed body on HTTP/2: frames and windows are nghttp2's. A small one is kept until the answer begins, since an
 * endpoint that leaves in good order refuses what came too late for it, and then all of it must be sent once more.
 */
import type { ClientHttp2Stream } from 'node:http2';
import type { BodyStream, UpstreamRequest } from '../../data/dispatch.ts';
import { requestTrailers } from '../request-trailers.ts';
import { Upload, type UploadOwner } from '../upload.ts';

/** Most bodies of most services; larger ones have a long way, and are lost more often to other causes. */
const MOST_KEPT_BYTES = 64 * 1024;

export class RequestBody extends Upload {
  /** All that was written, while that is little. */
  #kept: Buffer[] | undefined = [];
  #keptBytes = 0;
  readonly #stream: ClientHttp2Stream;

  /** @param waitsForTrailers as was asked for when the stream was made: Node then wants them even if there are none. */
  constructor(
    source: BodyStream,
    stream: ClientHttp2Stream,
    request: UpstreamRequest,
    owner: UploadOwner,
    waitsForTrailers: boolean,
  ) {
    super(source, stream, request, owner);
    this.#stream = stream;
    if (waitsForTrailers) stream.once('wantTrailers', () => stream.sendTrailers(byName(requestTrailers(source))));
  }

  protected override write(chunk: Buffer): boolean {
    this.#keptBytes += chunk.length;
    if (this.#keptBytes > MOST_KEPT_BYTES) this.#kept = undefined;
    this.#kept?.push(chunk);
    return this.#stream.write(chunk);
  }

  /** The answer has begun: it will not be sent again. */
  forget(): void {
    this.#kept = undefined;
  }

  /** Nobody has processed it: a whole one that was kept, without trailers, can be sent again, in one piece. */
  putBack(): void {
    if (!this.finished || this.#kept === undefined || requestTrailers(this.source).length > 0) return;
    this.request.body = Buffer.concat(this.#kept);
    this.request.contentLength = this.#keptBytes;
  }

  protected override end(): void {
    this.#stream.end();
  }
}

/** Node takes trailers in no other form. */
function byName(flat: readonly string[]): Record<string, string[]> {
  const fields = Object.create(null) as Record<string, string[]>;
  for (let at = 0; at < flat.length; at += 2) (fields[flat[at]!.toLowerCase()] ??= []).push(flat[at + 1]!);
  return fields;
}
