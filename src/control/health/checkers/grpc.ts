/**
 * Healthy means: grpc.health.v1 says SERVING, of one service or of the whole server. As with HTTP, each probe has a
 * connection of its own; it speaks HTTP/2, without TLS by prior knowledge.
 */
import { connect, type ClientHttp2Session, type ClientHttp2Stream, type IncomingHttpHeaders } from 'node:http2';
import { TLSSocket, type ConnectionOptions } from 'node:tls';
import type { ActiveHealthConfig, UpstreamTlsConfig } from '../../../config/schema.ts';
import { isGrpc } from '../../../grpc/content-type.ts';
import { decodeHealthResponse, encodeHealthRequest } from '../../../grpc/health-messages.ts';
import { GRPC_STATUSES } from '../../../grpc/status.ts';
import { formatGrpcTimeout } from '../../../grpc/timeout.ts';
import { poolTls } from '../../../upstream/tls.ts';
import { checkTarget, describeFailure, type CheckResult, type CheckTarget, type HealthChecker } from '../checker.ts';

/** The answer has a handful of bytes. */
const MAX_ANSWER_BYTES = 1024;
export class GrpcChecker implements HealthChecker {
  readonly #check: ActiveHealthConfig;
  readonly #service: string;
  readonly #tls: ConnectionOptions;
  readonly #request: Buffer;

  constructor(check: ActiveHealthConfig, tls: UpstreamTlsConfig | undefined) {
    this.#check = check;
    this.#service = typeof check.grpc === 'string' ? check.grpc : '';
    this.#tls = tls === undefined ? {} : poolTls(tls);
    this.#request = encodeHealthRequest(this.#service);
  }

  check(target: CheckTarget, signal: AbortSignal): Promise<CheckResult> {
    const origin = checkTarget(target.url, this.#check.port).url;
    return new Promise((resolve) => {
      const session = connect(origin, { ...this.#tls, ALPNProtocols: ['h2'] });
      const finish = (result: CheckResult): void => {
        signal.removeEventListener('abort', stop);
        resolve(result);
        session.destroy();
      };
      const failed = (error: unknown) => finish({ ok: false, reason: describeFailure(error) });
      const stop = () => failed(new Error('stopped'));
      if (signal.aborted) stop();
      signal.addEventListener('abort', stop);
      session.on('error', failed);
      // Node would speak HTTP/2 also to who has not agreed to.
      session.on('connect', (_, socket) => {
        if (socket instanceof TLSSocket && socket.alpnProtocol !== 'h2')
          finish({ ok: false, reason: 'no agreement to HTTP/2' });
      });
      session.on('close', () => failed(new Error('socket hang up')));
      if (!session.destroyed)
        this.#ask(session).then(
          (answer) => finish(this.#judge(answer)),
          // The session goes down, and says why.
          (error: NodeJS.ErrnoException) => error.code === 'ERR_HTTP2_STREAM_CANCEL' || failed(error),
        );
    });
  }

  close(): void {
    // Each probe ends its own connection.
  }

  #ask(session: ClientHttp2Session): Promise<Answer> {
    const { headers, timeout } = this.#check;
    const { host, ...metadata } = lowerCased(headers);
    const stream = session.request({
      ':method': 'POST',
      ':path': '/grpc.health.v1.Health/Check',
      ...(host === undefined ? {} : { ':authority': host }),
      'user-agent': 'aya-health',
      ...metadata,
      'content-type': 'application/grpc',
      te: 'trailers',
      'grpc-timeout': formatGrpcTimeout(timeout),
    });
    stream.end(this.#request);
    return readAnswer(stream);
  }

  #judge({ head, trailers, body }: Answer): CheckResult {
    const status = head[':status'];
    if (status !== 200) return { ok: false, reason: `status ${status}` };
    if (!isGrpc(head['content-type'])) return { ok: false, reason: 'answer is not gRPC' };
    const code = String(trailers['grpc-status'] ?? head['grpc-status'] ?? '');
    if (code !== '0') return { ok: false, reason: this.#explain(GRPC_STATUSES[Number(code || NaN)]) };
    const serving = decodeHealthResponse(body);
    if (serving === undefined) return { ok: false, reason: 'answer is no health check response' };
    return { ok: serving === 'SERVING', reason: serving };
  }

  #explain(status: string | undefined): string {
    if (status === undefined) return 'answer without grpc-status';
    if (status === 'UNIMPLEMENTED') return 'UNIMPLEMENTED: the server does not serve grpc.health.v1.Health';
    if (status === 'NOT_FOUND') return `NOT_FOUND: its health service does not know '${this.#service}'`;
    return `grpc status ${status}`;
  }
}

interface Answer {
  readonly head: IncomingHttpHeaders & { readonly ':status'?: number | undefined };
  readonly trailers: IncomingHttpHeaders;
  readonly body: Buffer;
}

function readAnswer(stream: ClientHttp2Stream): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    let head: Answer['head'] = {};
    let trailers: IncomingHttpHeaders = {};
    stream.on('response', (fields) => (head = fields));
    stream.on('trailers', (fields) => (trailers = fields));
    stream.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length > MAX_ANSWER_BYTES) reject(new Error(`answer of more than ${MAX_ANSWER_BYTES} bytes`));
      else chunks.push(chunk);
    });
    stream.on('end', () => resolve({ head, trailers, body: Buffer.concat(chunks) }));
    stream.on('error', reject);
  });
}

function lowerCased(fields: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name.toLowerCase(), value]));
}
