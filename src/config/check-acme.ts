/** What a schema cannot say about `acme:`, and its form as the code sees it. */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { domainToASCII } from 'node:url';
import type { AcmeConfig, WrittenAcme } from './acme-schema.ts';
import type { Document } from './document.ts';
import { fileFault } from './file-fault.ts';
import type { Problem } from './problem.ts';
import type { WrittenListenerTls } from './schema.ts';

const HOST_NAME = /^(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/** @param dir what paths are relative to. */
export function acmeFrom({ termsAgreed: _, ...written }: WrittenAcme, dir: string): AcmeConfig {
  return {
    ...written,
    domains: written.domains.map((domain) => domain.toLowerCase()),
    storage: resolve(dir, written.storage),
    ...(written.ca && { ca: resolve(dir, written.ca) }),
  };
}

/** @param dir what paths are relative to. */
export function checkAcme(
  listen: readonly { readonly tls?: WrittenListenerTls }[],
  document: Document,
  dir: string,
): Problem[] {
  const isAnswered = listen.some(({ tls }) => tls === undefined);
  return listen.flatMap(({ tls }, index) => {
    if (tls?.acme === undefined) return [];
    const at = `/listen/${index}/tls/acme`;
    const problems = [
      ...checkDirectory(tls.acme, document, at),
      ...checkTerms(tls.acme, document, at),
      ...checkDomains(tls.acme, document, at),
      ...checkFiles(tls.acme, document, dir, at),
      ...checkExternalAccount(tls.acme, document, at),
    ];
    if (isAnswered) return problems;
    const message = 'no listener speaks plain HTTP, over which the authority asks (HTTP-01)';
    return [...problems, document.warning(document.valueAt(at), message, 'open port 80: listen: [{ port: 80 }, …]')];
  });
}

function checkDirectory({ directory }: WrittenAcme, document: Document, at: string): Problem[] {
  if (URL.canParse(directory)) return [];
  return [document.error(document.valueAt(`${at}/directory`), `'${directory}' is no URL`)];
}

function checkTerms({ termsAgreed, directory }: WrittenAcme, document: Document, at: string): Problem[] {
  if (termsAgreed === true) return [];
  const message = 'the terms of service are not agreed to';
  const hint = `read those of the authority (${directory} names them) and write termsAgreed: true`;
  return [document.error(document.valueAt(`${at}/termsAgreed`), message, hint)];
}

function checkDomains({ domains }: WrittenAcme, document: Document, at: string): Problem[] {
  const names = domains.map((domain) => domain.toLowerCase());
  return names.flatMap((name, index) => {
    const place = document.valueAt(`${at}/domains/${index}`);
    if (name.includes('*')) {
      const hint = 'list the names, or get it from elsewhere: certificates: [{ cert, key }]';
      return [document.error(place, `'${name}': HTTP-01 cannot prove a wildcard`, hint)];
    }
    if (isIP(name) !== 0) return [document.error(place, `'${name}' is an address: certificates are for host names`)];
    if (!HOST_NAME.test(name)) {
      const ascii = domainToASCII(name);
      const hint = HOST_NAME.test(ascii) ? `certificates have it as ${ascii}` : 'one is api.example.com';
      return [document.error(place, `'${name}' is no host name`, hint)];
    }
    return names.indexOf(name) < index ? [document.error(place, `'${name}' is listed twice`)] : [];
  });
}

function checkFiles({ ca, storage }: WrittenAcme, document: Document, dir: string, at: string): Problem[] {
  const problems: Problem[] = [];
  // What the directory's own rules refuse, a directory below must not be: keys lie there.
  const outside = fileFault(storage, dir);
  if (outside?.includes('leads out') === true)
    problems.push(document.error(document.valueAt(`${at}/storage`), outside));
  if (outside === undefined) problems.push(document.error(document.valueAt(`${at}/storage`), `'${storage}' is a file`));
  if (ca === undefined) return problems;
  const place = document.valueAt(`${at}/ca`);
  const fault = fileFault(ca, dir);
  if (fault !== undefined) return [...problems, document.error(place, fault)];
  try {
    new X509Certificate(readFileSync(resolve(dir, ca)));
    return problems;
  } catch {
    return [...problems, document.error(place, `'${ca}' holds no PEM certificate that can be read`)];
  }
}

function checkExternalAccount({ externalAccount }: WrittenAcme, document: Document, at: string): Problem[] {
  if (externalAccount === undefined || /^[A-Za-z0-9_-]+=*$/.test(externalAccount.macKey)) return [];
  return [document.error(document.valueAt(`${at}/externalAccount/macKey`), 'the key is not base64url')];
}
