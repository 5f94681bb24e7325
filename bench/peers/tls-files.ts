/** Certificate and key, where the environment names them: a peer then speaks TLS. */
import { readFileSync } from 'node:fs';

const { TLS_CERT: cert, TLS_KEY: key } = process.env;

export const tlsFiles =
  cert === undefined || key === undefined ? undefined : { cert: readFileSync(cert), key: readFileSync(key) };
