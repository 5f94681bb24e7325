/** What a schema cannot say about one pool. */
import ipaddr from 'ipaddr.js';
import { compileRegex } from '../data/match/regex.ts';
import { parsePin } from '../upstream/tls.ts';
import { checkFailover } from './check-failover.ts';
import { checkFailures } from './check-failures.ts';
import { checkSaturation } from './check-saturation.ts';
import { checkSticky } from './check-sticky.ts';
import { checkLoads } from './check-loads.ts';
import { child, type Document } from './document.ts';
import { fileFault } from './file-fault.ts';
import type { Problem } from './problem.ts';
import type { PoolConfig } from './schema.ts';
import { NAME } from './shapes.ts';

export function checkPool(pool: PoolConfig, document: Document, at: string, dir: string): Problem[] {
  return [
    ...checkName(pool, document, at),
    ...checkEndpoints(pool, document, `${at}/endpoints`),
    ...checkHealth(pool, document, `${at}/health/active`),
    ...checkFailures(pool, document, at),
    ...checkFailover(pool, document, at),
    ...checkSaturation(pool, document, at),
    ...checkSticky(pool, document, at),
    ...checkLoads(pool, document, at),
    ...checkTls(pool, document, `${at}/tls`, dir),
    ...(pool.connections.connectTimeout > 0 ? [] : [tooShort(document, `${at}/connections/connectTimeout`)]),
  ];
}

function checkName({ name }: PoolConfig, document: Document, at: string): Problem[] {
  if (NAME.test(name) && name.length <= 128) return [];
  return [
    document.error(document.keyAt(at), `'${name}' is no name for a pool`, 'letters, digits, . _ and -, at most 128'),
  ];
}

function checkEndpoints({ name, endpoints, discover }: PoolConfig, document: Document, at: string): Problem[] {
  const place = document.valueAt(at);
  if (endpoints.length === 0 && discover !== undefined) return [];
  if (endpoints.length === 0)
    return [document.warning(place, `pool '${name}' has no endpoints: requests to it get 503`)];
  const problems: Problem[] = [];
  const seen = new Map<string, string>();
  endpoints.forEach(({ url }, index) => {
    const item = `${at}/${index}`;
    const own = document.valueAt(document.has(`${item}/url`) ? `${item}/url` : item);
    const fault = urlFault(url);
    if (fault !== undefined) problems.push(document.error(own, `'${url}' is not the URL of an endpoint: ${fault}`));
    const first = seen.get(url);
    if (first === undefined) seen.set(url, item);
    else {
      const { line, column } = document.valueAt(first);
      problems.push(
        document.error(
          own,
          `endpoint '${url}' is listed twice: first at ${line}:${column}`,
          'give it more weight instead',
        ),
      );
    }
  });
  if (discover === undefined && endpoints.every((endpoint) => endpoint.weight === 0)) {
    problems.push(document.warning(place, `all endpoints of pool '${name}' have weight 0: none takes a request`));
  }
  return problems;
}

/** Why it cannot be; undefined when it can. */
export function urlFault(url: string): string | undefined {
  if (!URL.canParse(url)) return 'its host or port cannot be';
  const { port, hostname } = new URL(url);
  if (port === '0') return 'it has port 0';
  return /[*%,;|\\^`<>"]/.test(hostname) ? 'its host is not a name or an address' : undefined;
}

function checkHealth({ health }: PoolConfig, document: Document, at: string): Problem[] {
  const { active } = health;
  if (active === undefined) return [];
  const problems = (['interval', 'timeout', 'fastInterval'] as const)
    .filter((key) => active[key] === 0)
    .map((key) => tooShort(document, `${at}/${key}`));
  if (active.tcp && active.grpc !== undefined) {
    const message = `'tcp' beside 'grpc': an endpoint is asked one thing`;
    problems.push(document.error(document.keyAt(`${at}/tcp`), message, 'leave one of them out'));
  }
  for (const name of Object.keys(active.headers)) {
    if (!isFieldName(name))
      problems.push(document.error(document.keyAt(child(`${at}/headers`, name)), `'${name}' is not a field name`));
  }
  active.expect.status.forEach(([first, last], index) => {
    if (first > last)
      problems.push(
        document.error(
          document.valueAt(`${at}/expect/status/${index}`),
          `${first}-${last} is an empty range`,
          `write ${last}-${first}?`,
        ),
      );
  });
  const { body } = active.expect;
  if (typeof body === 'object') {
    const fault = regexFault(body.regex);
    if (fault !== undefined) problems.push(document.error(document.valueAt(`${at}/expect/body/regex`), fault));
  }
  return problems;
}

function regexFault(source: string): string | undefined {
  try {
    compileRegex(source);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

const tooShort = (document: Document, at: string) =>
  document.error(document.valueAt(at), 'expected a duration longer than 0');

function checkTls(
  { tls, name, endpoints, discover }: PoolConfig,
  document: Document,
  at: string,
  dir: string,
): Problem[] {
  if (tls === undefined) return [];
  const problems: Problem[] = [];
  for (const key of ['ca', 'cert', 'key'] as const) {
    const path = tls[key];
    const fault = path === undefined ? undefined : fileFault(path, dir);
    if (fault !== undefined) problems.push(document.error(document.valueAt(`${at}/${key}`), fault));
  }
  const [given, missing] = tls.cert === undefined ? (['key', 'cert'] as const) : (['cert', 'key'] as const);
  if (tls[given] !== undefined && tls[missing] === undefined) {
    problems.push(document.error(document.keyAt(`${at}/${given}`), `'${given}' without '${missing}'`));
  }
  tls.subjectAltNames?.forEach((name, index) => {
    const fault = pinFault(name);
    if (fault !== undefined)
      problems.push(document.error(document.valueAt(`${at}/subjectAltNames/${index}`), `'${name}' ${fault}`));
  });
  if (!tls.verify && tls.subjectAltNames !== undefined) {
    const message = `'subjectAltNames' beside 'verify: false': no certificate is looked at`;
    problems.push(document.error(document.keyAt(`${at}/subjectAltNames`), message, 'leave verify out'));
  }
  if (!tls.verify) {
    problems.push(
      document.warning(
        document.valueAt(`${at}/verify`),
        `pool '${name}' accepts any certificate: whoever is in between can read and change everything`,
      ),
    );
  }
  if (
    discover === undefined &&
    endpoints.length > 0 &&
    !endpoints.some((endpoint) => endpoint.url.startsWith('https:'))
  ) {
    problems.push(
      document.warning(document.keyAt(at), `pool '${name}' has no https endpoint: its tls settings do nothing`),
    );
  }
  return problems;
}

function pinFault(name: string): string | undefined {
  const { type, value } = parsePin(name);
  if (value === '') return 'is a type without a name';
  if (type === 'IP' && !ipaddr.isValid(value)) return 'is not an IP address';
  return type === 'DNS' && !/^(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*$/.test(value) ? 'is not a host name' : undefined;
}

/** RFC 9110 §5.6.2: a token. */
export const isFieldName = (name: string): boolean => /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name);
