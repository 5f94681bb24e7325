/** A registry, or a service of yours, that is asked for the list over HTTP. */
import Type from 'typebox';
import { boundedText, fetchFailure } from '../../bounded-fetch.ts';
import { Duration, Size } from '../../config/units.ts';
import { readListing } from '../listing.ts';
import { poll } from '../poll.ts';
import { defineSource, type Instance } from '../source.ts';

interface HttpSettings {
  readonly http: string;
  readonly interval: number;
  readonly timeout: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly maxBytes: number;
}

export default defineSource<HttpSettings>({
  name: 'http',
  about: 'Endpoints that a registry lists, as a file would.',
  settings: {
    http: Type.String({
      pattern: '^https?://[^/?#@\\s]+',
      title: 'URL',
      examples: ['http://registry.internal:8500/orders'],
      description: 'Answers with a list of endpoints, in JSON as in a file. 304 to If-None-Match is understood.',
    }),
    interval: Duration('Between two questions, with 10 % jitter.', '10s'),
    timeout: Duration('For the whole answer.', '5s'),
    headers: Type.Record(Type.String(), Type.String(), {
      default: {},
      description: 'Further request fields, such as authorization.',
    }),
    maxBytes: Size('A larger answer is refused.', '256KiB'),
  },
  check({ http, interval, timeout }) {
    const faults = [];
    if (!URL.canParse(http)) faults.push({ key: 'http', message: `'${http}' is not a URL` });
    if (interval < 100) faults.push({ key: 'interval', message: 'expected at least 100ms' });
    if (timeout <= 0) faults.push({ key: 'timeout', message: 'expected a duration longer than 0' });
    return faults;
  },
  create: (settings, context) => ({
    watch(signal) {
      const registry = new Registry(settings, signal);
      const ask = async () => ({ instances: await registry.ask(), freshMs: settings.interval });
      return poll(ask, context, signal);
    },
  }),
});

class Registry {
  readonly #settings: HttpSettings;
  readonly #signal: AbortSignal;
  /** What `tag` stands for. */
  #known: { readonly tag: string; readonly instances: readonly Instance[] } | undefined;

  constructor(settings: HttpSettings, signal: AbortSignal) {
    this.#settings = settings;
    this.#signal = signal;
  }

  /** @throws Error with a reason for the log. */
  async ask(): Promise<readonly Instance[]> {
    const { http, timeout, headers } = this.#settings;
    const place = withoutQuery(http);
    let text: string;
    let tag: string | null;
    try {
      const response = await fetch(http, {
        headers: {
          accept: 'application/json',
          ...headers,
          ...(this.#known && { 'if-none-match': this.#known.tag }),
        },
        // What was configured is what is asked.
        redirect: 'error',
        signal: AbortSignal.any([this.#signal, AbortSignal.timeout(timeout)]),
      });
      if (response.status !== 200) await response.body?.cancel();
      if (response.status === 304 && this.#known !== undefined) return this.#known.instances;
      if (response.status !== 200) throw new Error(`status ${response.status}`);
      text = await boundedText(response, this.#settings.maxBytes);
      tag = response.headers.get('etag');
    } catch (error) {
      throw new Error(`${place}: ${fetchFailure(error, timeout)}`, { cause: error });
    }
    const instances = readListing(place, Buffer.from(text));
    this.#known = tag === null ? undefined : { tag, instances };
    return instances;
  }
}

/** What follows `?` may be nobody's business. */
const withoutQuery = (url: string) => url.split('?')[0]!;
