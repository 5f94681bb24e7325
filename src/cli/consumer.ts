/**
 * `aya consumer …`: who may call, and with what. Keys are made here and shown once, passwords are read and never shown;
 * what is kept are hashes. A running gateway follows by itself.
 */
import { systemClock } from '../clock.ts';
import { nearest } from '../config/nearest.ts';
import { NAME } from '../config/shapes.ts';
import { createApiKey } from '../credentials/api-key.ts';
import { hashPassword, normalForm } from '../credentials/password-hash.ts';
import type { ConsumerHome, ConsumerRecord, WrittenConsumer } from './consumer-home.ts';
import { counted, EXIT, json, type Outcome } from './outcome.ts';
import { bold, columns, dim, red } from './style.ts';

export interface ConsumerOptions {
  /** Directory of the configuration. */
  readonly dir: string;
  /** In the store of gateway.yaml instead of files. */
  readonly store?: boolean;
}

export async function addConsumer(
  name: string,
  options: ConsumerOptions & { readonly group?: readonly string[] },
): Promise<Outcome> {
  const { group = [] } = options;
  for (const word of [name, ...group]) {
    if (!NAME.test(word))
      throw new Error(`'${word}' is no name: letters, digits, '.', '_' and '-', a letter or digit first`);
  }
  return withHome(options, async (home) => {
    const earlier = (await home.all()).find(({ consumer }) => consumer.name === name);
    if (earlier !== undefined) throw new Error(`consumer '${name}' is there already: ${earlier.place}`);
    await home.create(group.length === 0 ? { name } : { name, groups: group });
    return done(`consumer '${name}' can do nothing yet: aya consumer key ${name}`);
  });
}

/** Prints the key alone on standard output, so that it can be piped where it belongs. */
export async function makeKey(
  name: string,
  options: ConsumerOptions & { readonly expires?: string; readonly id?: string },
): Promise<Outcome> {
  const { expires, id } = options;
  if (id !== undefined && !NAME.test(id)) throw new Error(`'${id}' is no id: letters, digits, '.', '_' and '-'`);
  const until = expires === undefined ? {} : { expires: momentOf(expires) };
  return withHome(options, async (home) => {
    const record = await find(home, name);
    if (record.consumer.apiKeys?.some((key) => key.id === id && id !== undefined)) {
      throw new Error(`consumer '${name}' has a key '${id}' already: revoke it, or take another id`);
    }
    const made = createApiKey(id);
    record.append('apiKeys', { id: made.id, sha256: made.sha256, ...until });
    await record.save();
    const told = `key '${made.id}' of '${name}', shown only now; its hash is in ${record.place}`;
    return { out: made.key, err: told, exitCode: EXIT.done };
  });
}

/** @param read gives the password. */
export async function setPassword(
  name: string,
  username: string,
  options: ConsumerOptions & { readonly expires?: string },
  read: () => Promise<string>,
): Promise<Outcome> {
  const { expires } = options;
  const until = expires === undefined ? {} : { expires: momentOf(expires) };
  return withHome(options, async (home) => {
    const record = await find(home, name);
    const password = normalForm(await read());
    if (password.length < LEAST_CHARACTERS) throw new Error(`a password has at least ${LEAST_CHARACTERS} characters`);
    if (/[\u0000-\u001f\u007f-\u009f]/.test(password)) throw new Error('a password has no control characters');
    const item = { username: normalForm(username), password: await hashPassword(password), ...until };
    const before = record.consumer.basic?.findIndex((each) => normalForm(each.username) === item.username) ?? -1;
    if (before !== -1) record.remove('basic', before);
    record.append('basic', item);
    await record.save();
    return done(`password of '${username}' ${before === -1 ? 'set' : 'replaced'} in ${record.place}`);
  });
}

/** NIST SP 800-63B §3.1.1.2, where a password is not alone. */
const LEAST_CHARACTERS = 8;

/** One key, or all that the consumer has: then it is gone. */
export async function revoke(name: string, key: string | undefined, options: ConsumerOptions): Promise<Outcome> {
  return withHome(options, async (home) => {
    const record = await find(home, name);
    const { apiKeys = [] } = record.consumer;
    if (key === undefined) {
      await record.delete();
      return done(`consumer '${name}' is no consumer any more: ${describe(record.consumer)} revoked`);
    }
    const at = apiKeys.findIndex(({ id, sha256 }) => id === key || (key.length >= 8 && sha256.startsWith(key)));
    if (at === -1) {
      const ids = apiKeys.map(idOf).join(', ');
      throw new Error(`consumer '${name}' has no key '${key}'${ids === '' ? '' : `: it has ${ids}`}`);
    }
    record.remove('apiKeys', at);
    await record.save();
    return done(`key '${key}' of '${name}' is revoked in ${record.place}`);
  });
}

export async function listConsumers(options: ConsumerOptions & { readonly json?: boolean }): Promise<Outcome> {
  return withHome(options, async (home) => {
    const records = await home.all();
    const now = systemClock.wall();
    if (options.json === true) {
      return {
        out: json(records.map((record) => ({ ...visible(record.consumer), place: record.place }))),
        exitCode: EXIT.done,
      };
    }
    if (records.length === 0) return { out: 'no consumers: aya consumer add NAME', exitCode: EXIT.done };
    const rows = records.map(({ consumer, place }) => [
      bold(consumer.name),
      consumer.groups?.join(',') ?? '',
      [describe(consumer), ...(consumer.apiKeys ?? []).map((key) => dim(describeKey(key, now)))].join('  '),
      dim(place),
    ]);
    return { out: columns([['NAME', 'GROUPS', 'CREDENTIALS', 'PLACE'].map(dim), ...rows]), exitCode: EXIT.done };
  });
}

// --- parts -----------------------------------------------------------------------------------------------------------

async function withHome(options: ConsumerOptions, run: (home: ConsumerHome) => Promise<Outcome>): Promise<Outcome> {
  const home = await homeOf(options);
  try {
    return await run(home);
  } finally {
    await home.close?.();
  }
}

async function homeOf({ dir, store }: ConsumerOptions): Promise<ConsumerHome> {
  if (store !== true) {
    const { ConsumerFiles } = await import('./consumer-files.ts');
    return new ConsumerFiles(dir);
  }
  const { openConsumerStore } = await import('./consumer-store.ts');
  return openConsumerStore(dir);
}

async function find(home: ConsumerHome, name: string): Promise<ConsumerRecord> {
  const records = await home.all();
  const found = records.find(({ consumer }) => consumer.name === name);
  if (found !== undefined) return found;
  const near = nearest(
    name,
    records.map(({ consumer }) => consumer.name),
  );
  throw new Error(
    `no consumer is named '${name}': ${near === undefined ? `aya consumer add ${name}` : `did you mean '${near}'?`}`,
  );
}

const DAY_MS = 86_400_000;

/** `90d`, `12h`, or a day: as it stands in a file. */
function momentOf(text: string): string {
  const [, count, unit] = /^(\d{1,5})([dh])$/.exec(text) ?? [];
  const now = systemClock.wall();
  const moment = count === undefined ? Date.parse(text) : now + Number(count) * (unit === 'd' ? DAY_MS : DAY_MS / 24);
  if (Number.isNaN(moment) || (count === undefined && !/^\d{4}-\d\d-\d\d/.test(text))) {
    throw new Error(`'${text}' is no time: write 90d, 12h or 2027-01-31`);
  }
  if (moment <= now) throw new Error(`${text} is over already`);
  return new Date(moment).toISOString().replace(/\.\d+Z$/, 'Z');
}

const idOf = ({ id, sha256 }: { readonly id?: string; readonly sha256: string }) => id ?? sha256.slice(0, 12);

const KINDS = [
  ['apiKeys', 'key'],
  ['basic', 'password'],
  ['jwt', 'token rule'],
  ['certificates', 'certificate'],
  ['signatureKeys', 'signature key'],
] as const;

function describe(consumer: WrittenConsumer): string {
  const told = KINDS.flatMap(([kind, noun]) => {
    const { length = 0 } = consumer[kind] ?? [];
    return length === 0 ? [] : [counted(length, noun)];
  });
  return told.length === 0 ? 'nothing' : told.join(', ');
}

function describeKey(
  key: { readonly id?: string; readonly sha256: string; readonly expires?: string },
  now: number,
): string {
  if (key.expires === undefined) return idOf(key);
  return Date.parse(key.expires) <= now
    ? red(`${idOf(key)} expired ${key.expires}`)
    : `${idOf(key)} until ${key.expires}`;
}

/** Without what could be guessed at. */
function visible({ name, groups = [], apiKeys = [], basic = [] }: WrittenConsumer) {
  return {
    name,
    groups,
    apiKeys: apiKeys.map((key) => ({ id: idOf(key), expires: key.expires ?? null })),
    usernames: basic.map(({ username }) => username),
  };
}

const done = (told: string): Outcome => ({ err: told, exitCode: EXIT.done });
