/** Names and passwords: what opens, what does not, what a flood of wrong ones costs. */
import { scryptSync } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { RawConnection, request } from '../../../test/support/raw-client.ts';
import { until } from '../../../test/support/until.ts';
import { gatewayFixture, type GatewayFixture } from '../../../test/support/gateway.ts';
import { startUpstream, type Echo } from '../../../test/support/upstream.ts';

/** Cheaper than people's, so that the tests are quick. */
function hashOf(password: string, N = 1024): string {
  const hash = scryptSync(password.normalize('NFC'), 'saltsalt', 32, { N });
  return `scrypt$${N}$8$1$${Buffer.from('saltsalt').toString('base64url')}$${hash.toString('base64url')}`;
}

let gateway: GatewayFixture;

beforeAll(async () => {
  const upstream = await startUpstream('orders');
  const route = (name: string, auth: object) => ({
    name,
    match: { path: `/${name}` },
    pool: 'orders',
    auth: { failures: false, ...auth },
  });
  const alice = hashOf('open sesame');
  gateway = await gatewayFixture({
    gateway: {
      consumers: [
        {
          name: 'people',
          groups: ['staff'],
          basic: [
            { username: 'alice', password: alice },
            { username: 'colons', password: hashOf('a:b::c') },
            { username: 'zo\u00eb', password: hashOf('gr\u00fc\u00dfe \u{1f511}') },
            { username: 'dear', password: hashOf('x', 2 ** 14) },
            { username: 'late', password: alice, expires: '2020-01-01' },
          ],
        },
      ],
    },
    files: {
      'orders.yaml': {
        pools: { orders: { endpoints: [upstream.url] } },
        routes: [
          route('guarded', { basic: { realm: 'The orders' } }),
          route('forwarded', { basic: { forward: true } }),
          route('either', { basic: {}, apiKey: {} }),
        ],
      },
    },
  });
});

const base64 = (text: string) => Buffer.from(text).toString('base64');
const basic = (credentials: string) => `Basic ${base64(credentials)}`;
const ask = (authorization: string | undefined, path = '/guarded') =>
  fetch(gateway.url + path, { headers: authorization === undefined ? {} : { authorization } });

describe('a name with its password', () => {
  it('opens, and the upstream learns the name and not the password', async () => {
    const answer = await ask(basic('alice:open sesame'));
    expect(answer.status).toBe(200);
    const fields = ((await answer.json()) as Echo).fields.join('\n').toLowerCase();
    expect(fields).toContain('x-aya-consumer\npeople');
    expect(fields).toContain('x-aya-principal\nalice');
    expect(fields).toContain('x-aya-groups\nstaff');
    expect(fields).not.toContain('authorization');
  });

  it.each([
    ['with the scheme in other letters', `bAsIc ${base64('alice:open sesame')}`],
    ['without padding', basic('alice:open sesame').replace(/=+$/, '')],
    ['with colons in it', basic('colons:a:b::c')],
    ['in UTF-8', basic('zo\u00eb:gr\u00fc\u00dfe \u{1f511}')],
    ['with accents written the other way', basic('zoe\u0308:gru\u0308\u00dfe \u{1f511}')],
  ])('%s opens', async (_, authorization) => expect((await ask(authorization)).status).toBe(200));

  it('goes on where the route says so', async () => {
    const { fields } = (await (await ask(basic('alice:open sesame'), '/forwarded')).json()) as Echo;
    expect(fields).toContain(basic('alice:open sesame'));
  });
});

describe('everything else is refused with one and the same answer', () => {
  it.each<[string, string]>([
    ['a wrong password', basic('alice:open sesam')],
    ['no password', basic('alice:')],
    ['an unknown name', basic('bob:open sesame')],
    ['another name', basic('colons:open sesame')],
    ['an empty name', basic(':open sesame')],
    ['no colon', basic('alice')],
    ['nothing', 'Basic'],
    ['an empty token', 'Basic '],
    ['no base64', 'Basic alice:open sesame'],
    ['base64 with something behind it', `${basic('alice:open sesame')}!`],
    ['base64 whose last bits are loose', basic('alice:open sesame').replace(/.(=*)$/, '$1')],
    ['base64url', `Basic ${Buffer.from('alice:\u00ff\u00ff>>').toString('base64url')}`],
    ['two credentials', `${basic('alice:open sesame')}, ${basic('colons:a:b::c')}`],
    ['Latin-1', `Basic ${Buffer.from('zo\u00eb:x', 'latin1').toString('base64')}`],
    ['a NUL behind the password', basic('alice:open sesame\u0000')],
    ['a line end in the name', basic('alice\n:open sesame')],
    ['a very long one', basic(`alice:${'x'.repeat(4000)}`)],
    ['the hash instead of the password', basic(`alice:${hashOf('open sesame')}`)],
  ])('%s', async (_, authorization) => {
    const answer = await ask(authorization);
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toBe('Basic realm="The orders", charset="UTF-8"');
    const { requestId: _id, ...problem } = (await answer.json()) as Record<string, unknown>;
    expect(problem).toMatchObject({ status: 401, detail: 'The credentials are not valid.' });
  });

  it('but a password that ran out, which is told to whoever has it alone', async () => {
    const right = (await (await ask(basic('late:open sesame'))).json()) as { detail: string };
    const wrong = (await (await ask(basic('late:guess'))).json()) as { detail: string };
    expect([right.detail, wrong.detail]).toEqual(['The credentials have expired.', 'The credentials are not valid.']);
  });
});

describe('a route with several methods', () => {
  it('names all of them to whoever brings nothing', async () => {
    const challenge = (await ask(undefined, '/either')).headers.get('www-authenticate');
    expect(challenge).toBe('ApiKey, Basic realm="aya", charset="UTF-8"');
  });
});

describe('a client that leaves while its password is checked', () => {
  const refused = async () => {
    const page = (await gateway.admin('/metrics')).body;
    return Number(/aya_auth_requests_total\{route="guarded",outcome="invalid"\} (\d+)/.exec(page)?.[1]);
  };

  it('harms nobody', async () => {
    const before = await refused();
    for (let at = 0; at < 10; at++) {
      const connection = await RawConnection.open(gateway.port);
      connection.send(request('GET', '/guarded', 'any.test', [`Authorization: ${basic(`dear:leaves ${at}`)}`]));
      connection.close();
    }
    await until(async () => (await refused()) === before + 10, 'the last of them to be checked');
    expect((await ask(basic('alice:open sesame'))).status).toBe(200);
    expect(gateway.logs.filter(({ level }) => level >= 50)).toEqual([]);
  });
});

describe('a flood of wrong passwords', () => {
  it('is answered 503 beyond what may wait, and those whom the gateway knows already pass', async () => {
    expect((await ask(basic('alice:open sesame'))).status).toBe(200);
    const flood = Array.from({ length: 120 }, (_, at) => ask(basic(`dear:guess ${at}`)));
    const known = await Promise.all(Array.from({ length: 5 }, () => ask(basic('alice:open sesame'))));
    expect(known.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    const answers = await Promise.all(flood);
    const busy = answers.filter(({ status }) => status === 503);
    expect(busy.length).toBeGreaterThan(0);
    expect(answers.filter(({ status }) => status === 401).length).toBe(120 - busy.length);
    expect(busy[0]?.headers.get('retry-after')).toBe('1');
  });
});

it('no password is in the log, the metrics or the configuration', async () => {
  const pages = await Promise.all(['/metrics', '/config'].map((path) => gateway.admin(path)));
  const told = JSON.stringify([gateway.logs, pages]);
  for (const secret of ['open sesame', 'scrypt$']) expect(told).not.toContain(secret);
});
