/**
 * What it costs to know the caller: a token of an issuer (RS256, verified once and then remembered), its consumer, a
 * scope and a rate limit, beside HAProxy that verifies the same token each time and counts in a stick table.
 */
import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { aya, ayaCommand, pool } from '../contestants/aya.ts';
import type { Contestant, Place } from '../contestants/contestant.ts';
import { haproxy, haproxyCommand } from '../contestants/haproxy.ts';
import { race, type Entrant, type Result } from '../race.ts';
import { http1Requests } from '../traffic.ts';
import { compared, costs, type Findings, type Scenario } from './scenario.ts';

export const guarded: Scenario = {
  name: 'guarded',
  title: 'The small answer behind a token, a consumer, a scope and a rate limit',
  async run(bench) {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
    const traffic = http1Requests({ authorization: `Bearer ${token(privateKey)}` });
    const caddy = bench.contestants.filter(({ name }) => name === 'caddy');
    const contestants = [aya, ayaGuarded(pem, false), ayaGuarded(pem, true), haproxy, haproxyGuarded(pem), ...caddy];
    return findings(
      await race(
        contestants.map((each): Entrant => ({ ...each, path: '/', traffic })),
        bench,
      ),
    );
  },
};

const ISSUER = 'https://id.example.com';

function token(key: KeyObject): string {
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
  const now = Math.floor(Date.now() / 1000);
  const claims = { iss: ISSUER, aud: 'hello', sub: 'mobile-1', scope: 'hello:read', iat: now, exp: now + 86_400 };
  const signed = `${encode({ alg: 'RS256', typ: 'JWT' })}.${encode(claims)}`;
  return `${signed}.${sign('sha256', Buffer.from(signed), key).toString('base64url')}`;
}

function ayaGuarded(pem: string, accessLog: boolean): Contestant {
  return {
    ...aya,
    name: accessLog ? 'aya-guarded-logged' : 'aya-guarded',
    configure(place: Place) {
      writeFileSync(join(place.dir, 'issuer.pem'), pem);
      const route = `routes:
  - name: hello
    match: { path: /* }
    pool: hello
    auth:
      jwt: { issuer: ${ISSUER}, audience: hello, algorithms: [RS256], publicKey: issuer.pem, scopes: [hello:read] }
    authorize: { groups: [partners] }
    rateLimit: { max: 100000000, per: 1m, by: consumer }
`;
      const consumer = `consumers:
  - { name: mobile, groups: [partners], jwt: [{ issuer: ${ISSUER}, subject: mobile-1 }] }
`;
      return ayaCommand(place, { threads: 1, accessLog }, { 'hello.yaml': pool('hello', place) + route }, consumer);
    },
  };
}

function haproxyGuarded(pem: string): Contestant {
  return {
    ...haproxy,
    name: 'haproxy-guarded',
    configure(place: Place) {
      const key = join(place.dir, 'issuer.pem');
      writeFileSync(key, pem);
      const rules = [
        "http-request set-var(txn.alg) http_auth_bearer,jwt_header_query('$.alg')",
        "http-request set-var(txn.sub) http_auth_bearer,jwt_payload_query('$.sub')",
        'http-request deny deny_status 401 unless { var(txn.alg) -m str RS256 }',
        `http-request deny deny_status 401 unless { http_auth_bearer,jwt_verify(txn.alg,"${key}") 1 }`,
        "http-request deny deny_status 403 unless { http_auth_bearer,jwt_payload_query('$.scope') -m sub hello:read }",
        'http-request track-sc0 var(txn.sub) table callers',
        'http-request deny deny_status 429 if { sc_http_req_rate(0,callers) gt 100000000 }',
      ];
      const table = '  stick-table type string len 64 size 1m expire 10m store http_req_rate(60s)';
      return haproxyCommand(place, rules, ['backend callers', table]);
    },
  };
}

function findings(results: readonly Result[]): Findings {
  const cost = costs(results);
  const bare = cost('aya');
  return {
    ...compared(results, 'to bare Aya', bare),
    budgets: [
      { promise: 'guarded Aya to bare Aya', atMost: 1.5, found: cost('aya-guarded') / bare },
      { promise: 'guarded Aya to bare Caddy', atMost: 1, found: cost('aya-guarded') / cost('caddy') },
    ],
    figures: results,
  };
}
