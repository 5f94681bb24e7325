/** Certificates for a test, made by openssl in a directory that is gone when the test, or its file, is over. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
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

  #openssl(...args: string[]): void {
    execFileSync('openssl', args, { cwd: this.dir, stdio: 'pipe' });
  }
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
