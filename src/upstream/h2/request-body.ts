/** A streamed body on HTTP/2: frames and windows are nghttp2's; what is left is its end, with trailers or without. */
import type { ClientHttp2Stream } from 'node:http2';
import type { BodyStream, UpstreamRequest } from '../../data/dispatch.ts';
import { requestTrailers } from '../request-trailers.ts';
import { Upload, type UploadOwner } from '../upload.ts';

export class RequestBody extends Upload {
  readonly #stream: ClientHttp2Stream;

  constructor(source: BodyStream, stream: ClientHttp2Stream, request: UpstreamRequest, owner: UploadOwner) {
    super(source, stream, request, owner);
    this.#stream = stream;
    // Where it was asked for when the stream was made, Node wants this even if there are none.
    stream.once('wantTrailers', () => stream.sendTrailers(byName(requestTrailers(source))));
  }

  protected override write(chunk: Buffer): boolean {
    return this.#stream.write(chunk);
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
