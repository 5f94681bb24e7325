/**
 * HTTPRouteCORS of the Gateway API's conformance suite, case by case. Where it has `*` with credentials, which is refused
 * here at load, the same is written `https://*`.
 */
import type { Ask, Topic } from './gateway-api-cases.ts';

const preflight = (origin: string, method: string, headers?: string): string[] => [
  `Origin: ${origin}`,
  `access-control-request-method: ${method}`,
  ...(headers === undefined ? [] : [`access-control-request-headers: ${headers}`]),
];

const HEADERS = 'x-header-1, x-header-2';
const NO_CREDENTIALS = { 'access-control-allow-credentials': null };

const allowedByCors1 = (origin: string): Ask['gets'] => ({
  status: 204,
  answer: {
    'access-control-allow-origin': origin,
    'access-control-allow-methods': 'GET|OPTIONS',
    'access-control-allow-headers': 'x-header-1|x-header-2',
    'access-control-expose-headers': 'x-header-3|x-header-4',
    'access-control-max-age': '3600',
    'access-control-allow-credentials': 'true',
  },
});

export const CORS: Topic = {
  topic: 'CORS',
  host: 'cors.test',
  routes: [
    {
      name: 'cors-multiple-origins-methods-headers',
      match: { path: '/cors-1/*' },
      pool: 'a',
      cors: {
        allowOrigins: ['https://www.foo.com', 'https://*.bar.com'],
        allowMethods: ['GET', 'OPTIONS'],
        allowHeaders: ['x-header-1', 'x-header-2'],
        exposeHeaders: ['x-header-3', 'x-header-4'],
        allowCredentials: true,
        maxAge: '3600s',
      },
    },
    {
      name: 'cors-wildcard-methods',
      match: { path: '/cors-2/*' },
      pool: 'a',
      cors: { allowOrigins: ['https://www.foo.com'], allowMethods: ['*'] },
    },
    {
      name: 'cors-wildcard-origin',
      match: { path: '/cors-wildcard-origin/*' },
      pool: 'a',
      cors: { allowOrigins: ['*'], allowMethods: ['PUT'] },
    },
    {
      name: 'cors-wildcard-methods-headers',
      match: { path: '/cors-wildcard-methods-headers/*' },
      pool: 'a',
      cors: { allowOrigins: ['https://*'], allowMethods: ['*'], allowHeaders: ['*'], allowCredentials: true },
    },
    {
      name: 'cors-wildcard-methods-headers-unauth',
      match: { path: '/cors-wildcard-methods-headers-unauth/*' },
      pool: 'a',
      cors: { allowOrigins: ['*'], allowMethods: ['*'], allowHeaders: ['*'] },
    },
  ],
  asks: [
    {
      it: 'a preflight from an exact matching origin is allowed',
      ask: 'OPTIONS /cors-1',
      fields: preflight('https://www.foo.com', 'GET', HEADERS),
      gets: allowedByCors1('https://www.foo.com'),
    },
    {
      it: 'a preflight from a wildcard matching origin is allowed',
      ask: 'OPTIONS /cors-1',
      fields: preflight('https://www.bar.com', 'GET', HEADERS),
      gets: allowedByCors1('https://www.bar.com'),
    },
    {
      it: 'a wildcard matches any number of periods',
      ask: 'OPTIONS /cors-1',
      fields: preflight('https://xpto.www.bar.com', 'GET', HEADERS),
      gets: allowedByCors1('https://xpto.www.bar.com'),
    },
    {
      it: 'a preflight from a non-matching origin is not allowed',
      ask: 'OPTIONS /cors-1',
      fields: preflight('https://foobar.com', 'GET'),
      gets: { status: 204, answer: { 'access-control-allow-origin': null } },
    },
    {
      it: 'a simple request from an exact matching origin is allowed',
      ask: 'GET /cors-1',
      fields: preflight('https://www.foo.com', 'GET', HEADERS),
      gets: { pool: 'a', answer: { 'access-control-allow-origin': 'https://www.foo.com' } },
    },
    {
      it: 'a simple request from a wildcard matching origin is allowed',
      ask: 'GET /cors-1',
      fields: preflight('https://www.bar.com', 'GET', HEADERS),
      gets: { pool: 'a', answer: { 'access-control-allow-origin': 'https://www.bar.com' } },
    },
    {
      it: 'a simple request from a non-matching origin is not allowed',
      ask: 'GET /cors-1',
      fields: preflight('https://foobar.com', 'GET'),
      gets: { pool: 'a', answer: { 'access-control-allow-origin': null } },
    },
    {
      it: 'a preflight with POST is allowed by a wildcard of methods, without credentials',
      ask: 'OPTIONS /cors-2',
      fields: preflight('https://www.foo.com', 'POST'),
      gets: {
        status: 204,
        answer: {
          'access-control-allow-methods': 'POST',
          'access-control-allow-origin': 'https://www.foo.com',
          ...NO_CREDENTIALS,
        },
      },
    },
    ...['https://foobar.com', 'https://foobar.com:12345'].flatMap((origin): Ask[] => [
      {
        it: `a preflight from any origin, ${origin}`,
        ask: 'OPTIONS /cors-wildcard-origin',
        fields: preflight(origin, 'PUT'),
        gets: {
          status: 204,
          answer: {
            'access-control-allow-origin': '*',
            'access-control-allow-methods': 'PUT',
            ...NO_CREDENTIALS,
          },
        },
      },
      {
        it: `a request from any origin, ${origin}`,
        ask: 'PUT /cors-wildcard-origin',
        fields: [`Origin: ${origin}`],
        gets: { pool: 'a', answer: { 'access-control-allow-origin': '*', ...NO_CREDENTIALS } },
      },
    ]),
    {
      it: 'a preflight is told the method, the headers and the origin, with credentials',
      ask: 'OPTIONS /cors-wildcard-methods-headers',
      fields: preflight('https://other.foo.com', 'PUT', HEADERS),
      gets: {
        status: 204,
        answer: {
          'access-control-allow-origin': 'https://other.foo.com',
          'access-control-allow-methods': 'PUT',
          'access-control-allow-headers': 'x-header-1|x-header-2',
          'access-control-allow-credentials': 'true',
        },
      },
    },
    {
      it: 'a preflight is told the method and the headers, and nothing of credentials, without them',
      ask: 'OPTIONS /cors-wildcard-methods-headers-unauth',
      fields: preflight('https://other.foo.com', 'PUT', HEADERS),
      gets: {
        status: 204,
        answer: {
          'access-control-allow-origin': '*',
          'access-control-allow-methods': 'PUT',
          'access-control-allow-headers': 'x-header-1|x-header-2',
          ...NO_CREDENTIALS,
        },
      },
    },
    {
      it: 'a request is told of credentials where they are allowed',
      ask: 'GET /cors-wildcard-methods-headers',
      fields: ['Origin: https://other.foo.com', 'Authorization: Bearer test'],
      gets: {
        pool: 'a',
        answer: {
          'access-control-allow-origin': 'https://other.foo.com',
          'access-control-allow-credentials': 'true',
        },
      },
    },
    {
      it: 'a request is told nothing of credentials where they are not',
      ask: 'GET /cors-wildcard-methods-headers-unauth',
      fields: ['Origin: https://other.foo.com', 'Authorization: Bearer test'],
      gets: { pool: 'a', answer: { 'access-control-allow-origin': '*', ...NO_CREDENTIALS } },
    },
  ],
};
