/** The names that a certificate is about (RFC 5280 §4.2.1.6), as Node writes them. */
import ipaddr from 'ipaddr.js';

export interface SubjectAltName {
  readonly type: 'DNS' | 'URI' | 'email' | 'IP';
  /** Of an address, its canonical text; else as the certificate has it. */
  readonly value: string;
}

/** Node: `DNS:a.test, URI:"spiffe://a, b", IP Address:10.0.0.1`; what could be misread is in quotes, as in JSON. */
const ALT_NAME = /(?:^|, )([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^",]*)(?=, |$)/y;
const ALT_NAME_TYPES: ReadonlyMap<string, SubjectAltName['type']> = new Map([
  ['DNS', 'DNS'],
  ['URI', 'URI'],
  ['email', 'email'],
  ['IP Address', 'IP'],
]);

/** @returns those of the types above. Of a list that cannot be read to its end, none. */
export function subjectAltNames(text: string | undefined): SubjectAltName[] {
  if (text === undefined) return [];
  const names: SubjectAltName[] = [];
  ALT_NAME.lastIndex = 0;
  for (let end = 0; end < text.length; end = ALT_NAME.lastIndex) {
    const [, label = '', written = ''] = ALT_NAME.exec(text) ?? [];
    if (label === '') return [];
    const type = ALT_NAME_TYPES.get(label);
    const value = type === undefined ? undefined : valueOf(type, written);
    if (type !== undefined && value !== undefined) names.push({ type, value });
  }
  return names;
}

function valueOf(type: SubjectAltName['type'], written: string): string | undefined {
  const value = written.startsWith('"') ? unquoted(written) : written;
  if (type !== 'IP' || value === undefined) return value;
  return ipaddr.isValid(value) ? ipaddr.parse(value).toString() : undefined;
}

function unquoted(written: string): string | undefined {
  try {
    return JSON.parse(written) as string;
  } catch {
    return undefined;
  }
}
