/** HTTP/2 as a client has it: Node's own, with whole answers. For frames that no client sends there is h2-frames.ts. */
import http2, {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader,
  type SecureClientSessionOptions,
} from 'node:http2';
import { cleanup } from './cleanup.ts';
import { within } from './until.ts';

export interface Http2Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Statuses of interim answers. */
  readonly interim: readonly number[];
  readonly trailers: IncomingHttpHeaders | undefined;
  readonly body: Buffer;
  /** Of RST_STREAM; 0: the stream ended well. */
  readonly code: number;
}

export class Http2Client {
  readonly session: ClientHttp2Session;
  /** Codes of GOAWAY. */
  readonly goaways: number[] = [];

  private constructor(session: ClientHttp2Session) {
    this.session = session;
    session.on('error', () => {});
    session.on('goaway', (code) => this.goaways.push(code));
    cleanup(async () => session.destroy());
  }

  static async connect(url: string, options: SecureClientSessionOptions = {}): Promise<Http2Client> {
    const session = http2.connect(url, options);
    const client = new Http2Client(session);
    await within(
      new Promise((resolve, reject) => session.once('remoteSettings', resolve).once('error', reject)),
      'the settings of the server',
    );
    return client;
  }

  /** @param fields flat; pseudo fields among them replace those of a GET of `/`. */
  open(fields: readonly string[] = [], options: { readonly endStream?: boolean } = {}): ClientHttp2Stream {
    const head: Record<string, string | string[]> = { ':path': '/' };
    for (let at = 0; at < fields.length; at += 2) {
      const before = head[fields[at]!];
      const isRepeated = before !== undefined && !fields[at]!.startsWith(':');
      head[fields[at]!] = isRepeated ? [before, fields[at + 1]!].flat() : fields[at + 1]!;
    }
    const stream = this.session.request(head, options);
    stream.on('error', () => {});
    return stream;
  }

  /** The whole answer to a request that is sent whole. */
  async ask(path: string, fields: readonly string[] = [], body?: Buffer | string): Promise<Http2Answer> {
    const stream = this.open([':path', path, ...fields], { endStream: body === undefined });
    if (body !== undefined) stream.end(body);
    return answerOf(stream);
  }

  get isClosed(): boolean {
    return this.session.closed || this.session.destroyed;
  }
}

/** What has come when the stream is closed. */
export function answerOf(stream: ClientHttp2Stream): Promise<Http2Answer> {
  const chunks: Buffer[] = [];
  const interim: number[] = [];
  let head: IncomingHttpHeaders & IncomingHttpStatusHeader = {};
  let trailers: IncomingHttpHeaders | undefined;
  stream.on('headers', (headers) => interim.push(Number(headers[':status'])));
  stream.on('response', (headers) => {
    head = headers;
  });
  stream.on('trailers', (headers) => {
    trailers = headers;
  });
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  const closed = new Promise<Http2Answer>((resolve) =>
    stream.on('close', () =>
      resolve({
        status: head[':status'] ?? 0,
        headers: head,
        interim,
        trailers,
        body: Buffer.concat(chunks),
        code: stream.rstCode ?? 0,
      }),
    ),
  );
  return within(closed, 'the end of the stream');
}
