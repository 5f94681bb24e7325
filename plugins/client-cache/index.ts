/** What clients are told about keeping the answers of services; see README.md. */
import type { Clock } from '../../src/clock.ts';
import type { Exchange } from '../../src/data/exchange.ts';
import { type ConfigFault, type Concern, definePlugin } from '../../src/extension.ts';
import { renderCacheControl } from './render.ts';
import type { ClientCacheConfig, ClientCacheOptions } from './schema.ts';

export default definePlugin<ClientCacheConfig, Concern | Promise<Concern>>({
  name: 'clientCache',
  phase: 'transform',
  check: (options) => (options === false ? [] : checkClientCache(options)),
  create: (options, { clock }) => (options === false ? {} : compile(options, clock)),
});

async function compile(options: ClientCacheOptions, clock: Clock): Promise<Concern> {
  const { privacy, expiresIn, override } = options;
  const policy = await renderCacheControl(options);
  // What is told to one caller, or sets a cookie, is for it alone, whatever the route says of the others.
  const personal = privacy === 'public' ? await renderCacheControl({ privacy: 'private', expiresIn }) : policy;
  const closedness = CLOSEDNESS[privacy];
  const expires = options.expires ? compileExpires(expiresIn!, clock) : undefined;

  return {
    onAnswer(exchange, fields) {
      if (!isGood(exchange)) return;
      const said = readSaid(fields);
      if (said.isAnything && (!override || said.closedness > closedness)) return;
      if (said.isAnything) drop(fields);
      const isPersonal = said.setsCookie || exchange.principal !== undefined;
      fields.push('cache-control', withAge(isPersonal ? personal : policy, said.ageS));
      if (expires !== undefined) fields.push('expires', expires());
    },
  };
}

/** A service's own, and no error: what fails once may be well a moment later. What a hook answers has no status yet. */
function isGood({ status, error }: Exchange): boolean {
  return error === undefined && ((status >= 200 && status < 300) || status === 304);
}

interface Said {
  isAnything: boolean;
  /** No policy may open what the service has closed. */
  closedness: number;
  setsCookie: boolean;
  ageS: number;
}

/** In one pass: most fields differ from all of these in length. */
function readSaid(fields: readonly string[]): Said {
  const said = { isAnything: false, closedness: 0, setsCookie: false, ageS: 0 };
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at]!;
    switch (name.length) {
      case 3:
        if (name.toLowerCase() === 'age') said.ageS = Number(fields[at + 1]!) || 0;
        break;
      case 6:
      case 7:
        if (SAYING.has(name.toLowerCase())) said.isAnything = true;
        break;
      case 10:
        if (name.toLowerCase() === 'set-cookie') said.setsCookie = true;
        break;
      case 13:
        if (name.toLowerCase() !== 'cache-control') break;
        said.isAnything = true;
        said.closedness = Math.max(said.closedness, closednessOf(fields[at + 1]!));
    }
  }
  return said;
}

/** Who may keep an answer: everybody, the client, nobody. */
const CLOSEDNESS = { public: 0, 'no-cache': 0, private: 1, 'no-store': 2 };

function closednessOf(cacheControl: string): number {
  if (/\bno-store\b/i.test(cacheControl)) return CLOSEDNESS['no-store'];
  return /\bprivate\b/i.test(cacheControl) ? CLOSEDNESS.private : 0;
}

const SAYING = new Set(['pragma', 'expires', 'cache-control']);

function drop(fields: string[]): void {
  for (let at = fields.length - 2; at >= 0; at -= 2) if (SAYING.has(fields[at]!.toLowerCase())) fields.splice(at, 2);
}

/** RFC 9111 §4.2: a client takes off the age of what the gateway had stored; it is to have as long as the route says. */
function withAge(policy: string, ageS: number): string {
  if (ageS === 0) return policy;
  return policy.replace(/(max-?age=)(\d+)/g, (_, name: string, seconds: string) => `${name}${Number(seconds) + ageS}`);
}

/** Written once a second. */
function compileExpires(expiresInMs: number, clock: Clock): () => string {
  let second = NaN;
  let text = '';
  return () => {
    const now = Math.floor(clock.wall() / 1000);
    if (now !== second) {
      second = now;
      text = new Date(now * 1000 + expiresInMs).toUTCString();
    }
    return text;
  };
}

export function checkClientCache({ privacy, expiresIn, serverExpiresIn, expires }: ClientCacheOptions): ConfigFault[] {
  const faults: ConfigFault[] = [];
  const lasts = privacy === 'private' || privacy === 'public';
  for (const [name, time] of Object.entries({ expiresIn, serverExpiresIn })) {
    if (time !== undefined && time < 1000)
      faults.push({ path: [name], message: 'is a second at least; or say privacy: no-cache' });
  }
  if (expiresIn !== undefined && !lasts) {
    faults.push({
      path: ['expiresIn'],
      message: `is of no use with privacy: ${privacy}; leave it out, or say private`,
    });
  }
  if (serverExpiresIn !== undefined && privacy !== 'public') {
    faults.push({ path: ['serverExpiresIn'], message: 'is for caches that several share; say privacy: public' });
  }
  if (expires && (expiresIn === undefined || !lasts)) {
    faults.push({ path: ['expires'], message: 'needs expiresIn: it is when the answer expires' });
  }
  return faults;
}
