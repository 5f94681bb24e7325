/** A certificate for 127.0.0.1 that lasts as long as the bench. */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Certificate {
  readonly cert: string;
  readonly key: string;
  /** Both in one file, as HAProxy wants them. */
  readonly pem: string;
}

/** @throws Error where openssl is missing. */
export function makeCertificate(dir: string): Certificate {
  const [cert, key, pem] = ['cert.pem', 'key.pem', 'both.pem'].map((file) => join(dir, file)) as [
    string,
    string,
    string,
  ];
  const words = `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=bench
    -addext subjectAltName=IP:127.0.0.1 -keyout ${key} -out ${cert}`;
  const made = spawnSync('openssl', words.split(/\s+/), { encoding: 'utf8' });
  if (made.error) throw new Error('openssl is not installed');
  if (made.status !== 0) throw new Error(`openssl: ${made.stderr}`);
  writeFileSync(pem, readFileSync(cert, 'latin1') + readFileSync(key, 'latin1'));
  return { cert, key, pem };
}
