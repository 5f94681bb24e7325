/** What browsers are told to be careful about, on every answer of a route; see README.md. */
import type { Exchange } from '../../src/data/exchange.ts';
import { type ConfigFault, definePlugin } from '../../src/extension.ts';
import type { SecurityHeadersConfig } from './schema.ts';

type Field = readonly [name: string, value: string];

export default definePlugin<SecurityHeadersConfig | false>({
  name: 'securityHeaders',
  phase: 'transform',
  check: (options) => (options === false ? [] : checkSecurityHeaders(options)),
  create(options) {
    if (options === false) return {};
    const plain = compileEdit(fieldsOf(options), options);
    const secure =
      options.hsts === undefined ? plain : compileEdit([...fieldsOf(options), hstsOf(options.hsts)], options);
    return {
      onAnswer(exchange, fields) {
        if (isSecure(exchange)) secure(fields);
        else plain(fields);
      },
    };
  },
});

/** RFC 6797 §7.2: HSTS is not sent without TLS. Of a connection that ends at a proxy before us, that proxy knows. */
function isSecure({ scheme, client, head }: Exchange): boolean {
  return scheme === 'https' || (client.trusted && head.forwardedProto === 'https');
}

const TEXTS = [
  ['frameOptions', 'x-frame-options'],
  ['referrerPolicy', 'referrer-policy'],
  ['contentSecurityPolicy', 'content-security-policy'],
  ['permissionsPolicy', 'permissions-policy'],
  ['crossOriginOpenerPolicy', 'cross-origin-opener-policy'],
  ['crossOriginEmbedderPolicy', 'cross-origin-embedder-policy'],
  ['crossOriginResourcePolicy', 'cross-origin-resource-policy'],
] as const;

function fieldsOf(options: SecurityHeadersConfig): Field[] {
  const texts = TEXTS.flatMap(([key, name]): Field[] => {
    const value = options[key];
    return value === undefined ? [] : [[name, key === 'frameOptions' ? value.toUpperCase() : value]];
  });
  return options.noSniff ? [['x-content-type-options', 'nosniff'], ...texts] : texts;
}

function hstsOf({ maxAge, includeSubDomains, preload }: NonNullable<SecurityHeadersConfig['hsts']>): Field {
  const seconds = Math.floor(maxAge / 1000);
  const value = `max-age=${seconds}${includeSubDomains ? '; includeSubDomains' : ''}${preload ? '; preload' : ''}`;
  return ['strict-transport-security', value];
}

const BANNERS = ['server', 'x-powered-by', 'x-aspnet-version', 'x-aspnetmvc-version'];
const DROPPED = -1;

/** One pass over the fields: drops what must go, sees which of ours are there already, and appends the others. */
function compileEdit(
  ours: readonly Field[],
  { override, removeBanners }: SecurityHeadersConfig,
): (fields: string[]) => void {
  const known = new Map<string, number>(ours.map(([name], index) => [name, override ? DROPPED : index]));
  if (removeBanners) for (const name of BANNERS) known.set(name, DROPPED);
  // Most fields of an answer differ from all of them in length already.
  const lengths = new Set([...known.keys()].map((name) => name.length));

  return (fields) => {
    let present = 0;
    let kept = 0;
    for (let at = 0; at < fields.length; at += 2) {
      const name = fields[at]!;
      const index = lengths.has(name.length) ? known.get(name.toLowerCase()) : undefined;
      if (index === DROPPED) continue;
      if (index !== undefined) present |= 1 << index;
      fields[kept++] = name;
      fields[kept++] = fields[at + 1]!;
    }
    fields.length = kept;
    for (let index = 0; index < ours.length; index++) {
      if ((present & (1 << index)) === 0) fields.push(ours[index]![0], ours[index]![1]);
    }
  };
}

const YEAR_MS = 365 * 24 * 3_600_000;

export function checkSecurityHeaders(options: SecurityHeadersConfig): readonly ConfigFault[] {
  const faults: ConfigFault[] = [];
  for (const [key] of TEXTS) {
    if (options[key] !== undefined && !/^[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?$/.test(options[key])) {
      faults.push({
        path: [key],
        message: 'is one line of visible ASCII and spaces, and begins and ends with neither',
      });
    }
  }
  const { hsts } = options;
  // What the list of browsers asks for (hstspreload.org); less is sent in vain.
  if (hsts?.preload === true && (!hsts.includeSubDomains || hsts.maxAge < YEAR_MS)) {
    faults.push({ path: ['hsts', 'preload'], message: 'needs includeSubDomains, and a maxAge of a year (365d)' });
  }
  return faults;
}
