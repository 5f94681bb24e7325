/** An authority that misbehaves: each order ends, with its reason. */
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { beforeAll, describe, expect, it } from 'vitest';
import { Certificates, hasOpenssl } from '../../../test/support/certificates.ts';
import { cleanup } from '../../../test/support/cleanup.ts';
import { FakeClock } from '../../../test/support/fake-clock.ts';
import type { AcmeConfig } from '../../config/acme-schema.ts';
import { runOrder } from './order.ts';
import { newAccountKey } from './session.ts';

type Answer = (req: IncomingMessage, res: ServerResponse) => void;

describe.skipIf(!hasOpenssl('src/control/acme/order.test.ts'))('an order', () => {
  let certificates: Certificates;
  let answers: Record<string, Answer>;
  let asked: string[];
  let url = '';

  beforeAll(async () => {
    certificates = new Certificates();
    certificates.authority('ca');
    certificates.issue('acme', { altNames: 'IP:127.0.0.1' });
    const server = createServer(
      { cert: certificates.pem('acme'), key: certificates.pem('acme', 'key') },
      (req, res) => {
        asked.push(`${req.method} ${req.url}`);
        res.setHeader('replay-nonce', `nonce-${asked.length}`);
        (answers[req.url!] ?? json({ type: 'about:blank' }, 404))(req, res);
      },
    );
    cleanup(async () => void server.close().closeAllConnections());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });

  const json =
    (value: object, status = 200, headers: Record<string, string> = {}): Answer =>
    (_, res) =>
      void res.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));

  const problem = (type: string, detail: string, status = 400, headers = {}): Answer =>
    json({ type: `urn:ietf:params:acme:error:${type}`, detail }, status, headers);

  const challenge = (token: unknown) => ({
    identifier: { type: 'dns', value: 'api.test' },
    status: 'pending',
    challenges: [{ type: 'http-01', url: `${url}/challenge`, token }],
  });

  /** Of an authority that is as it should be, up to the challenge. */
  const good = (): Record<string, Answer> => ({
    '/dir': json({ newNonce: `${url}/nonce`, newAccount: `${url}/account`, newOrder: `${url}/order` }),
    '/nonce': (_, res) => void res.end(),
    '/account': json({ status: 'valid' }, 201, { location: `${url}/account/1` }),
    '/order': json({ status: 'pending', authorizations: [`${url}/authorization`] }, 201, {
      location: `${url}/order/1`,
    }),
    '/authorization': json(challenge('0123456789abcdef')),
    '/challenge': json({ status: 'pending' }),
  });

  async function failureOf(changes: Record<string, Answer>, signal = new AbortController().signal) {
    answers = { ...good(), ...changes };
    asked = [];
    const shown: string[][] = [];
    const config: AcmeConfig = {
      domains: ['api.test'],
      directory: `${url}/dir`,
      ca: certificates.file('ca.pem'),
      keyType: 'ec256',
      storage: '',
    };
    const show = (pending: ReadonlyMap<string, string>) => Promise.resolve(void shown.push([...pending.keys()]));
    const order = runOrder({ config, accountKey: newAccountKey(), clock: new FakeClock(), signal, show });
    const error = await order.then(
      () => undefined,
      (reason: unknown) => reason as Error & { retryAfterSeconds?: number },
    );
    return { message: error?.message ?? 'none', seconds: error?.retryAfterSeconds ?? 0, shown };
  }

  it.each<[string, Record<string, () => Answer>, RegExp]>([
    ['a directory that is none', { '/dir': () => json({ hello: 1 }) }, /is no ACME directory$/],
    [
      'a directory of other URLs',
      { '/dir': () => json({ newNonce: 'http://a.test', newAccount: 'x', newOrder: 'y' }) },
      /not https/,
    ],
    [
      'a server that is down',
      { '/dir': () => (_, res) => void res.writeHead(503).end('<html>') },
      /^status 503: no reason given$/,
    ],
    ['a redirect', { '/dir': () => (_, res) => void res.writeHead(302, { location: '/' }).end() }, /^status 302/],
    ['no nonce', { '/nonce': () => (_, res) => (res.removeHeader('replay-nonce'), void res.end()) }, /gave no nonce/],
    ['no nonce that is ever good', { '/account': () => problem('badNonce', 'again') }, /^badNonce: again$/],
    ['an account without a URL', { '/account': () => json({}, 201) }, /no URL of the account/],
    ['an order without names', { '/order': () => json({}, 201, { location: `${url}/order/1` }) }, /gave no order/],
    [
      'words of many lines',
      { '/order': () => problem('rejectedIdentifier', 'a\r\nb\u202e\u0000c') },
      /^rejectedIdentifier: a b c$/,
    ],
    [
      'an answer without end',
      { '/order': () => (_, res) => void res.end(Buffer.alloc(2 ** 21)) },
      /larger than 1048576 bytes/,
    ],
    [
      'an answer that is cut',
      { '/order': () => (_, res) => (res.write('{'), setImmediate(() => res.destroy())) },
      /aborted|hang up|ECONNRESET/,
    ],
    [
      'only other challenges',
      { '/authorization': () => json({ ...challenge(''), challenges: [{ type: 'dns-01' }] }) },
      /^api.test: the authority does not offer HTTP-01$/,
    ],
    ['a token that is a path', { '/authorization': () => json(challenge('../../../etc/passwd')) }, /no proper token$/],
    ['a token that is no text', { '/authorization': () => json(challenge({})) }, /no proper token$/],
  ])('ends at %s', async (_, changes, reason) => {
    const made = Object.fromEntries(Object.entries(changes).map(([path, make]) => [path, make()]));
    const { message, shown } = await failureOf(made);
    expect(message).toMatch(reason);
    expect(shown).toEqual([]);
    expect(asked.length).toBeLessThan(15);
  });

  it('tells when it may be tried again', async () => {
    const limited = problem('rateLimited', 'too many orders', 429, { 'retry-after': '3600' });
    expect(await failureOf({ '/order': limited })).toMatchObject({
      message: 'rateLimited: too many orders',
      seconds: 3600,
    });
    const date = 'Thu, 01 Jan 2026 00:00:00 GMT';
    const dated = problem('rateLimited', '', 429, { date, 'retry-after': 'Thu, 01 Jan 2026 00:02:00 GMT' });
    expect(await failureOf({ '/order': dated })).toMatchObject({ seconds: 120 });
  });

  it('takes back what it has shown when the authority could not see it, and says why', async () => {
    const invalid = { ...challenge('0123456789abcdef'), status: 'invalid' };
    const error = { type: 'urn:ietf:params:acme:error:dns', detail: 'no such name' };
    const told = { ...invalid, challenges: [{ ...invalid.challenges[0], status: 'invalid', error }] };
    let times = 0;
    const authorization: Answer = (req, res) =>
      (times++ === 0 ? json(challenge('0123456789abcdef')) : json(told))(req, res);
    const { message, shown } = await failureOf({ '/authorization': authorization });
    expect(message).toBe('api.test: dns: no such name');
    expect(shown).toEqual([['0123456789abcdef'], []]);
  });

  it('ends at once when it is given up', async () => {
    const ending = new AbortController();
    const authorization: Answer = (req, res) => {
      json(challenge('0123456789abcdef'))(req, res);
      if (asked.filter((each) => each === 'POST /authorization').length > 1) {
        setImmediate(() => ending.abort(new Error('given up')));
      }
    };
    const { message, shown } = await failureOf({ '/authorization': authorization }, ending.signal);
    expect(message).toContain('given up');
    expect(shown.at(-1)).toEqual([]);
  });
});
