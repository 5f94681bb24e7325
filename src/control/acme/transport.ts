/** Questions to an authority: HTTPS alone, its own roots where it has some, within bounds, no redirects followed. */
import { Agent, request } from 'node:https';
import type { IncomingHttpHeaders } from 'node:http';
import { VERSION } from '../../version.ts';

const ANSWER_WITHIN_MS = 30_000;
const MOST_BYTES = 1024 * 1024;

export interface Question {
  readonly method: 'GET' | 'HEAD' | 'POST';
  readonly url: string;
  readonly body?: string;
  readonly accept?: string;
}

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export class Transport {
  readonly #agent: Agent;
  readonly #signal: AbortSignal;

  /** @param ca PEM; undefined: the system's. @param signal ends what is under way. */
  constructor(ca: string | undefined, signal: AbortSignal) {
    this.#agent = new Agent({ keepAlive: true, ...(ca === undefined ? {} : { ca }) });
    this.#signal = signal;
  }

  /** @throws Error with a reason for the log. */
  async ask({ method, url, body, accept = 'application/json' }: Question): Promise<Reply> {
    if (!URL.canParse(url) || new URL(url).protocol !== 'https:')
      throw new Error('the authority named a URL that is not https');
    const signal = AbortSignal.any([this.#signal, AbortSignal.timeout(ANSWER_WITHIN_MS)]);
    try {
      return await this.#ask(url, method, body, accept, signal);
    } catch (error) {
      this.#signal.throwIfAborted();
      throw new Error(`${new URL(url).host}: ${reasonOf(error)}`, { cause: error });
    }
  }

  close(): void {
    this.#agent.destroy();
  }

  #ask(url: string, method: string, body: string | undefined, accept: string, signal: AbortSignal): Promise<Reply> {
    const headers = {
      // RFC 8555 §6.1: both must be there.
      'user-agent': `aya-gateway/${VERSION}`,
      'accept-language': 'en',
      accept,
      ...(body === undefined
        ? {}
        : { 'content-type': 'application/jose+json', 'content-length': Buffer.byteLength(body) }),
    };
    return new Promise((resolve, reject) => {
      const asking = request(url, { method, headers, agent: this.#agent, signal }, (response) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        response.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          chunks.push(chunk);
          if (bytes > MOST_BYTES) response.destroy(new Error(`an answer larger than ${MOST_BYTES} bytes`));
        });
        response.on('error', reject);
        response.on('end', () =>
          resolve({
            status: response.statusCode!,
            headers: response.headers,
            body: Buffer.concat(chunks).toString('utf8'),
          }),
        );
      });
      asking.on('error', reject);
      asking.end(body);
    });
  }
}

function reasonOf(error: unknown): string {
  const { name, code, message } = error as NodeJS.ErrnoException;
  if (name === 'AbortError' || name === 'TimeoutError') return `no answer within ${ANSWER_WITHIN_MS / 1000} s`;
  return message === '' ? (code ?? name) : message;
}
