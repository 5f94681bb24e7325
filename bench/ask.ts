/** One question, to see that who answers it is there and answers as it should. */
import { connect } from 'node:http2';
import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';

const MUTE_AFTER_MS = 2_000;
/** The bench's certificates are signed by nobody. */
const UNVERIFIED = { rejectUnauthorized: false };

/** @returns whether the answer is 200; also while nobody listens yet. */
export type Ask = (url: string) => Promise<boolean>;

export type Fields = Readonly<Record<string, string>>;

export function askHttp1(headers: Fields = {}): Ask {
  return (url) =>
    new Promise((resolve) => {
      const { get } = url.startsWith('https:') ? https : http;
      const options = { headers, agent: false as const, timeout: MUTE_AFTER_MS, ...UNVERIFIED };
      const request = get(url, options, (response: IncomingMessage) => {
        response.resume().on('close', () => resolve(response.complete && response.statusCode === 200));
      });
      request.on('timeout', () => request.destroy()).on('error', () => resolve(false));
    });
}

/** @param body makes it a POST. @param trailers must come behind the answer. */
export function askHttp2(headers: Fields = {}, body?: Buffer, trailers: Fields = {}): Ask {
  return (url) =>
    new Promise((resolve) => {
      const { origin, pathname } = new URL(url);
      const session = connect(origin, UNVERIFIED);
      let isRight = false;
      session.setTimeout(MUTE_AFTER_MS, () => session.destroy());
      session.on('error', () => {}).on('close', () => resolve(isRight));
      const method = body === undefined ? 'GET' : 'POST';
      const stream = session.request({ ':method': method, ':path': pathname, ...headers });
      let found: Readonly<Record<string, unknown>> = {};
      let status: unknown;
      stream.on('response', (head) => (status = head[':status']));
      stream.on('trailers', (fields) => (found = fields));
      stream
        .on('error', () => {})
        .on('close', () => {
          isRight = status === 200 && Object.entries(trailers).every(([name, value]) => found[name] === value);
          session.close();
        });
      stream.resume().end(body);
    });
}
