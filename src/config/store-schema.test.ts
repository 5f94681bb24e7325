import { describe, expect, it } from 'vitest';
import { configDirectory } from '../../test/support/command.ts';
import { answerStoreOptions, redisOptions } from '../store/options.ts';
import { load } from './load.ts';
import { formatProblem } from './problem.ts';
import { redact } from './redact.ts';

const ROUTES = { pools: { a: { endpoints: ['http://127.0.0.1:1'] } }, routes: [{ name: 'a', pool: 'a' }] };

async function loaded(store: unknown, env: Record<string, string> = {}, cache: object = {}) {
  const dir = await configDirectory({ 'gateway.yaml': { store, cache }, 'routes.d/a.yaml': ROUTES });
  const { config, problems, secrets } = await load(dir, { env });
  return { config, secrets, problems: problems.map(formatProblem).join('\n') };
}

describe('store', () => {
  it('is memory by default', async () => {
    const { config } = await loaded(undefined);
    expect(config!.gateway.store).toBe('memory');
    expect(redisOptions('memory')).toBeUndefined();
  });

  it.each([
    ['redis://redis.internal', { host: 'redis.internal', port: 6379, db: 0, tls: false }],
    ['rediss://:p%40ss@[::1]:7000/3', { host: '::1', port: 7000, db: 3, tls: true, password: 'p@ss' }],
    [
      { url: 'redis://anna:word@10.0.0.1/1', keyPrefix: 'shop:', timeout: '20ms', onFailure: 'deny' },
      { username: 'anna', password: 'word', db: 1, keyPrefix: 'shop:', timeoutMs: 20, onFailure: 'deny' },
    ],
    [{ url: 'redis://10.0.0.1' }, { keyPrefix: 'aya:', timeoutMs: 50, onFailure: 'local' }],
  ])('may be written as %j', async (store, expected) => {
    const { config } = await loaded(store);
    expect(redisOptions(config!.gateway.store)).toMatchObject(expected);
  });

  it.each([
    'postgres://:hunter2@db',
    'redis://:hunter2@h ost:1/0',
    'redis://:hunter2@host/users',
    { url: 'redis://:hunter2@host:99999' },
    { url: 'redis://:hunter2@host', onfailure: 'deny' },
    { url: 'mysql://:hunter2@host' },
  ])('is refused as %j, and the error does not repeat the password', async (store) => {
    const { config, problems } = await loaded(store);
    expect(config).toBeUndefined();
    expect(problems).toMatch(/^.*gateway\.yaml:\d+:\d+: error: /);
    expect(problems).not.toContain('hunter2');
  });

  it('is shown without its password', async () => {
    const { config, secrets } = await loaded('redis://anna:hunter2@redis.internal:6379/0');
    expect(redact(config!, secrets).gateway.store).toBe('redis://[redacted]@redis.internal:6379/0');
    const fromEnv = await loaded('redis://:${REDIS_PASSWORD}@redis.internal', { REDIS_PASSWORD: 'hunter2' });
    expect(JSON.stringify(redact(fromEnv.config!, fromEnv.secrets))).not.toContain('hunter2');
  });
});

describe('cache.store', () => {
  it.each([
    [undefined, undefined],
    ['redis', { host: 'limits', keyPrefix: 'shop:' }],
    ['redis://answers:7000', { host: 'answers', port: 7000, keyPrefix: 'aya:', timeoutMs: 50 }],
    [
      { url: 'rediss://answers', timeout: '20ms' },
      { host: 'answers', tls: true, timeoutMs: 20 },
    ],
  ])('may be written as %j', async (store, expected) => {
    const { config } = await loaded({ url: 'redis://limits', keyPrefix: 'shop:' }, {}, { store });
    const options = answerStoreOptions(config!.gateway);
    if (expected === undefined) expect(options).toBeUndefined();
    else expect(options).toMatchObject(expected);
  });

  it.each([
    ['redis', /cache\.store is 'redis', and store names none/],
    ['redis://:hunter2@host/users', /not the URL of a Redis/],
    [{ url: 'redis://:hunter2@h ost' }, /not the URL of a Redis/],
  ])('is refused as %j', async (store, message) => {
    const { config, problems } = await loaded('memory', {}, { store });
    expect(config).toBeUndefined();
    expect(problems).toMatch(message);
    expect(problems).not.toContain('hunter2');
  });
});
