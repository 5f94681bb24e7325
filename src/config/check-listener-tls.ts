/**
 * What a schema cannot say about a listener's `tls`: whether the files are there, fit each other and are of use today.
 * What passes here can be served; what does not would fail every handshake.
 */
import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { createSecureContext } from 'node:tls';
import { systemClock } from '../clock.ts';
import type { Document } from './document.ts';
import { fileFault } from './file-fault.ts';
import { checkOcsp, ocspIsAbout, ocspStaleAt } from './ocsp.ts';
import type { Problem } from './problem.ts';
import type { CertificateFiles, WrittenListenerTls } from './schema.ts';

const DAY_MS = 86_400_000;
/** Time enough to renew one by hand. */
const SOON_DAYS = 14;

/** @param dir what paths are relative to. @param now milliseconds since the epoch. */
export function checkListenerTls(
  listen: readonly { readonly tls?: WrittenListenerTls }[],
  document: Document,
  dir: string,
  now = systemClock.wall(),
): Problem[] {
  return listen.flatMap(({ tls }, index) =>
    tls === undefined ? [] : new TlsCheck(document, dir, now, `/listen/${index}/tls`).run(tls),
  );
}

class TlsCheck {
  readonly #document: Document;
  readonly #dir: string;
  readonly #now: number;
  /** JSON pointer of the `tls` key. */
  readonly #at: string;
  readonly #problems: Problem[] = [];

  constructor(document: Document, dir: string, now: number, at: string) {
    this.#document = document;
    this.#dir = dir;
    this.#now = now;
    this.#at = at;
  }

  run(tls: WrittenListenerTls): readonly Problem[] {
    this.#checkForm(tls);
    if (tls.cert !== undefined && tls.key !== undefined) {
      this.#checkPair({ cert: tls.cert, key: tls.key, ...(tls.ocsp && { ocsp: tls.ocsp }) }, this.#at);
    }
    tls.certificates?.forEach((files, index) => {
      const certificate = this.#checkPair(files, `${this.#at}/certificates/${index}`);
      if (index > 0 && certificate !== undefined && !/(^|, )DNS:/.test(certificate.subjectAltName ?? '')) {
        this.#warn(`${this.#at}/certificates/${index}/cert`, `'${files.cert}' names no host: it is never shown`);
      }
    });
    this.#checkClientCa(tls);
    return this.#problems;
  }

  #checkForm({ cert, key, ocsp, certificates, acme }: WrittenListenerTls): void {
    if (certificates !== undefined) {
      const single = cert !== undefined ? 'cert' : key !== undefined ? 'key' : ocsp !== undefined ? 'ocsp' : undefined;
      if (single !== undefined)
        this.#fail(`${this.#at}/${single}`, `'${single}' beside 'certificates'`, 'list it there');
    } else if (cert === undefined && key === undefined) {
      if (acme === undefined)
        this.#fail(this.#at, 'tls without a certificate', 'name its files, cert and key, or acme');
    } else if (cert === undefined || key === undefined) {
      const [given, missing] = cert === undefined ? ['key', 'cert'] : ['cert', 'key'];
      this.#fail(`${this.#at}/${given}`, `'${given}' without '${missing}'`);
    }
  }

  #checkPair(files: CertificateFiles, at: string): X509Certificate | undefined {
    const [certPem, keyPem] = [this.#read(files.cert, `${at}/cert`), this.#read(files.key, `${at}/key`)];
    const certificate = certPem && this.#certificate(certPem, files.cert, `${at}/cert`);
    const key = keyPem && this.#key(keyPem, files.key, `${at}/key`);
    if (certificate === undefined || key === undefined) return undefined;
    if (!certificate.checkPrivateKey(key)) {
      this.#fail(`${at}/key`, `the key '${files.key}' does not belong to the certificate '${files.cert}'`);
      return undefined;
    }
    const fault = faultOf(() => createSecureContext({ cert: certPem, key: keyPem }));
    if (fault !== undefined) this.#fail(`${at}/cert`, `'${files.cert}' and '${files.key}' cannot be used: ${fault}`);
    this.#checkDates(certificate, files.cert, `${at}/cert`);
    if (files.ocsp !== undefined) this.#checkOcsp(files.ocsp, files.cert, certificate, `${at}/ocsp`);
    return certificate;
  }

  #checkOcsp(path: string, certPath: string, { serialNumber }: X509Certificate, at: string): void {
    const response = this.#read(path, at);
    if (response === undefined) return;
    const fault = faultOf(() => checkOcsp(response));
    if (fault !== undefined) return this.#fail(at, `'${path}' ${fault}`);
    if (!ocspIsAbout(response, serialNumber))
      return this.#fail(at, `'${path}' is not about the certificate '${certPath}'`);
    if (ocspStaleAt(response) <= this.#now) this.#warn(at, `'${path}' is stale: it is not stapled`);
  }

  #checkClientCa({ clientCa, clientAuth }: WrittenListenerTls): void {
    const at = `${this.#at}/clientCa`;
    if (clientCa === undefined) {
      if (clientAuth === undefined || clientAuth === 'none') return;
      const hint = 'name the file with the certificates that clients must go back to';
      this.#fail(`${this.#at}/clientAuth`, `'clientAuth: ${clientAuth}' without 'clientCa'`, hint);
      return;
    }
    if (clientAuth === 'none') this.#warn(at, `no client is asked for a certificate: 'clientCa' does nothing`);
    const pem = this.#read(clientCa, at);
    if (pem === undefined) return;
    const certificates = pem.toString('latin1').match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g);
    if (certificates === null) return this.#fail(at, `'${clientCa}' holds no PEM certificate`);
    for (const each of certificates) {
      const certificate = this.#certificate(each, clientCa, at);
      if (certificate !== undefined) this.#checkDates(certificate, clientCa, at);
    }
  }

  #read(path: string, at: string): Buffer | undefined {
    const fault = fileFault(path, this.#dir);
    if (fault !== undefined) {
      this.#fail(at, fault);
      return undefined;
    }
    try {
      return readFileSync(resolve(this.#dir, path));
    } catch (error) {
      this.#fail(at, `'${path}' cannot be read (${String((error as NodeJS.ErrnoException).code)})`);
      return undefined;
    }
  }

  #certificate(pem: Buffer | string, path: string, at: string): X509Certificate | undefined {
    try {
      return new X509Certificate(pem);
    } catch {
      this.#fail(at, `'${path}' holds no certificate that can be read`, 'PEM: -----BEGIN CERTIFICATE-----');
      return undefined;
    }
  }

  #key(pem: Buffer, path: string, at: string): KeyObject | undefined {
    try {
      return createPrivateKey(pem);
    } catch {
      const isLocked = pem.includes('ENCRYPTED');
      this.#fail(
        at,
        isLocked ? `the key '${path}' needs a passphrase` : `'${path}' holds no private key that can be read`,
        isLocked ? 'give the gateway an unencrypted one' : 'PEM: -----BEGIN PRIVATE KEY-----',
      );
      return undefined;
    }
  }

  /** Warnings: old certificates are better than no gateway, and who renews them does not do it here. */
  #checkDates({ validFromDate, validToDate, subject }: X509Certificate, path: string, at: string): void {
    const now = this.#now;
    const name = subject === '' || subject === undefined ? '' : ` (${subject.split('\n').at(-1)})`;
    const what = `the certificate in '${path}'${name}`;
    const days = (validToDate.getTime() - now) / DAY_MS;
    if (validFromDate.getTime() > now) this.#warn(at, `${what} is not valid before ${validFromDate.toISOString()}`);
    else if (days < 0) this.#warn(at, `${what} expired ${inDays(-days)} ago`);
    else if (days < SOON_DAYS) this.#warn(at, `${what} expires in ${inDays(days)}`);
  }

  #fail(at: string, message: string, hint?: string): void {
    this.#problems.push(this.#document.error(this.#document.valueAt(at), message, hint));
  }

  #warn(at: string, message: string): void {
    this.#problems.push(this.#document.warning(this.#document.valueAt(at), message));
  }
}

function inDays(days: number): string {
  const whole = Math.floor(days);
  return whole === 0 ? 'less than a day' : whole === 1 ? '1 day' : `${whole} days`;
}

function faultOf(run: () => unknown): string | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
