/** A list of endpoints as files and registries write it, read as strictly as the configuration itself. */
import Type from 'typebox';
import { urlFault } from '../config/check-pool.ts';
import { complete } from '../config/complete.ts';
import { compile } from '../config/fits.ts';
import { EndpointSchema } from '../config/pool-schema.ts';
import { formatProblem, type Problem } from '../config/problem.ts';
import { decode, readDocument } from '../config/read.ts';
import { object } from '../config/shapes.ts';
import { userSchema } from '../config/user-schema.ts';
import { validate } from '../config/validate.ts';
import type { EndpointConfig } from '../config/schema.ts';
import type { Document } from '../config/document.ts';
import type { Instance } from './source.ts';

const Endpoints = Type.Array(EndpointSchema);
const Listing = Type.Union([Endpoints, object({ endpoints: Endpoints })]);

let compiled: ReturnType<typeof compile> | undefined;

/**
 * @param name of the file or URL, for the error.
 * @param text JSON or YAML: a list of URLs and of objects with url, weight, priority, backup and zone, or `{ endpoints: […] }`.
 * @throws Error that names the place of the first fault.
 */
export function readListing(name: string, bytes: Uint8Array): Instance[] {
  const { text, problems: undecodable } = decode(name, bytes);
  if (text === undefined) throw refusal(undecodable);
  // Without an environment: who may write the list may not read that of the gateway.
  const { document, problems } = readDocument(name, text, {});
  if (document === undefined) throw refusal(problems);
  compiled ??= compile(userSchema(Listing));
  const faults = validate(compiled, document.value, document);
  if (faults.length > 0) throw refusal(faults);
  return instancesOf(document);
}

function instancesOf(document: Document): Instance[] {
  const { value } = document;
  const [written, at] = Array.isArray(value)
    ? [value as readonly unknown[], '']
    : [(value as { endpoints: readonly unknown[] }).endpoints, '/endpoints'];
  return written.map((endpoint, index) => {
    const { url, weight, backup, priority, zone } = complete(
      EndpointSchema,
      typeof endpoint === 'string' ? { url: endpoint } : endpoint,
    ) as EndpointConfig;
    const fault = urlFault(url);
    if (fault !== undefined) {
      const message = `'${url}' is not the URL of an endpoint: ${fault}`;
      throw refusal([document.error(document.valueAt(`${at}/${index}`), message)]);
    }
    const { protocol, hostname, port } = new URL(url);
    const scheme = protocol === 'https:' ? 'https' : 'http';
    const where = { ...(port !== '' && { port: Number(port) }), ...(zone !== undefined && { zone }) };
    return { host: hostname, scheme, ...where, weight, backup, ...(priority > 0 && { priority }) };
  });
}

const refusal = ([first]: readonly Problem[]) => new Error(formatProblem(first!));
