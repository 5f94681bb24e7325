/** Certificates for a test, made by openssl in a directory that is gone when the test, or its file, is over. */
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cleanup } from './cleanup.ts';

/** Whether openssl is there; says so when not. @param file whose tests are skipped then. */
export function hasOpenssl(file: string): boolean {
  try {
    return execFileSync('openssl', ['version']).length > 0;
  } catch {
    console.warn(`${file} is skipped: openssl is not installed`);
    return false;
  }
}

export interface IssueOptions {
  /** As openssl writes it. Default: /CN= the name. */
  readonly subject?: string;
  /** `DNS:a.test,URI:spiffe://…` */
  readonly altNames?: string;
  /** Another authority's name. Default: ca. */
  readonly by?: string;
  /** Default: 30. */
  readonly days?: number;
}

export class Certificates {
  readonly dir = mkdtempSync(join(tmpdir(), 'aya-certs-'));

  constructor() {
    cleanup(async () => rmSync(this.dir, { recursive: true, force: true }));
  }

  /** Absolute. */
  file(name: string): string {
    return join(this.dir, name);
  }

  /** What the file holds. */
  pem(name: string, kind: 'pem' | 'key' = 'pem'): string {
    return readFileSync(this.file(`${name}.${kind}`), 'utf8');
  }

  /** The OCSP response. */
  der(name: string): Buffer {
    return readFileSync(this.file(`${name}.der`));
  }

  /** NAME.pem and NAME.key, which sign others. */
  authority(name: string): void {
    this.#openssl(
      'req',
      '-x509',
      ...NEW_KEY,
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.pem`,
      '-days',
      '30',
      '-subj',
      `/CN=${name}`,
    );
  }

  /** NAME.pem and NAME.key. */
  issue(name: string, { subject = `/CN=${name}`, altNames, by = 'ca', days = 30 }: IssueOptions = {}): void {
    const extensions = [
      'basicConstraints=critical,CA:FALSE',
      ...(altNames === undefined ? [] : [`subjectAltName=${altNames}`]),
    ];
    const files = ['-keyout', `${name}.key`, '-out', `${name}.pem`, '-CA', `${by}.pem`, '-CAkey', `${by}.key`];
    this.#openssl(
      'req',
      '-x509',
      ...NEW_KEY,
      ...files,
      '-days',
      String(days),
      '-subj',
      subject,
      ...extensions.flatMap((text) => ['-addext', text]),
    );
  }

  /** NAME.der: the authority's word that NAME.pem, which it has issued, is good. @param hours until it is stale. */
  ocsp(name: string, hours: number): void {
    const serial = new X509Certificate(this.pem(name)).serialNumber;
    writeFileSync(this.file('index.txt'), `V\t991231235959Z\t\t${serial}\tunknown\t/CN=${name}\n`);
    this.#openssl('ocsp', '-issuer', 'ca.pem', '-cert', `${name}.pem`, '-no_nonce', '-reqout', 'request.der');
    const by = ['-index', 'index.txt', '-CA', 'ca.pem', '-rsigner', 'ca.pem', '-rkey', 'ca.key'];
    this.#openssl('ocsp', ...by, '-reqin', 'request.der', '-respout', `${name}.der`, '-nmin', String(hours * 60));
  }

  /** The same, stale since 2020; the signature, at which only clients look, is broken. */
  staleOcsp(name: string): void {
    this.ocsp(name, 1);
    const der = this.der(name);
    der.write('20200101000000Z', der.indexOf(Buffer.from('a011180f', 'hex')) + 4, 'latin1');
    writeFileSync(this.file(`${name}.der`), der);
  }

  #openssl(...args: string[]): void {
    execFileSync('openssl', args, { cwd: this.dir, stdio: 'pipe' });
  }
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
