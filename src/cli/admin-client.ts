/** Asks the admin server of a running gateway. */
import type { Config } from '../config/schema.ts';

const ANSWER_WITHIN_MS = 5_000;

export interface AdminOptions {
  readonly admin?: string;
  readonly token?: string;
}

export class AdminClient {
  /** `http://127.0.0.1:9901`, without a final slash. */
  readonly url: string;
  readonly #token: string | undefined;

  constructor(url: string, token: string | undefined) {
    this.url = url.replace(/\/+$/, '');
    this.#token = token;
  }

  /** The page as JSON. Rejects with a sentence for the user. */
  get<Page>(path: string): Promise<Page> {
    return this.#ask('GET', path);
  }

  /** An order, and what came of it. Rejects with a sentence for the user. */
  post<Page>(path: string): Promise<Page> {
    return this.#ask('POST', path);
  }

  async #ask<Page>(method: string, path: string): Promise<Page> {
    const headers = this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` };
    const response = await fetch(this.url + path, {
      method,
      headers,
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
    }).catch((error: unknown) => {
      throw new Error(`no gateway answers at ${this.url} (${reasonOf(error)}): --dir or --admin says where it is`);
    });
    if (response.ok) return (await response.json()) as Page;
    const { detail } = (await response.json().catch(() => ({}))) as { detail?: string };
    if (response.status === 401) {
      throw new Error(`the gateway at ${this.url} wants the token of its admin server: --token, or AYA_ADMIN_TOKEN`);
    }
    if ((response.status === 400 || path.startsWith('/decisions/')) && detail !== undefined) throw new Error(detail);
    throw new Error(`${this.url}${path} answers ${response.status}: is this the admin server of a gateway?`);
  }
}

/** @throws when the files do not tell the address. */
export function adminOf({ admin, token }: AdminOptions, { gateway }: Config): AdminClient {
  const bearer = token ?? process.env['AYA_ADMIN_TOKEN'] ?? gateway.admin.token;
  if (admin === undefined) return new AdminClient(ownAddress(gateway.admin), bearer);
  if (!URL.canParse(admin)) throw new Error(`--admin: '${admin}' is not a URL such as http://127.0.0.1:9901`);
  return new AdminClient(admin, bearer);
}

/** An address to listen on is not always one to ask at. */
function ownAddress({ host, port }: Config['gateway']['admin']): string {
  if (port === 0)
    throw new Error('admin.port is 0, a free port each time: give the address of the gateway with --admin');
  if (host === '0.0.0.0') return `http://127.0.0.1:${port}`;
  if (host === '::') return `http://[::1]:${port}`;
  return host.includes(':') ? `http://[${host}]:${port}` : `http://${host}:${port}`;
}

function reasonOf(error: unknown): string {
  const { cause, name, message } = error as Error & { cause?: NodeJS.ErrnoException };
  if (name === 'TimeoutError') return `not within ${ANSWER_WITHIN_MS / 1000} s`;
  return cause?.code ?? cause?.message ?? message;
}
