/** What the schema cannot say: a policy that browsers would not understand, or that nobody can mean. */
import { originFault } from '../../src/data/match/origins.ts';
import type { ConfigFault } from '../../src/extension.ts';
import http from '../../src/node-http.ts';
import type { CorsConfig } from './schema.ts';

const LISTS = ['allowOrigins', 'allowMethods', 'allowHeaders', 'exposeHeaders'] as const;

export function checkCors(options: CorsConfig): readonly ConfigFault[] {
  const faults: ConfigFault[] = [];
  const fault = (path: ConfigFault['path'], message: string | undefined): void => {
    if (message !== undefined) faults.push({ path, message });
  };

  for (const key of LISTS) {
    const values = options[key] ?? [];
    if (values.includes('*') && values.length > 1) fault([key], `'*' is all of them: it stands alone`);
  }
  options.allowOrigins.forEach((origin, index) => {
    if (origin !== '*') fault(['allowOrigins', index], originFault(origin));
  });
  for (const key of ['allowHeaders', 'exposeHeaders'] as const) {
    options[key]?.forEach((name, index) => fault([key, index], nameFault(name)));
  }
  if (options.allowCredentials) {
    if (options.allowOrigins.includes('*')) {
      fault(
        ['allowOrigins'],
        `with allowCredentials '*' would let every site read what its visitors may: name the origins, or write https://* if that is meant`,
      );
    }
    // Fetch §3.3.5: with credentials the sign is the name of a field.
    if (options.exposeHeaders?.includes('*') === true) {
      fault(['exposeHeaders'], `with allowCredentials browsers do not take '*' for all: name the fields`);
    }
  }
  return faults;
}

function nameFault(name: string): string | undefined {
  try {
    http.validateHeaderName(name);
    return undefined;
  } catch {
    return `'${name}' is not a field name`;
  }
}
