/** Consumers in the store that gateway.yaml names: all gateways that share it follow within seconds. */
import { systemClock, systemRandom } from '../clock.ts';
import { readStoredConsumer } from '../config/interpret-consumers.ts';
import { scanLanguage } from '../config/language.ts';
import { redisOptions } from '../store/options.ts';
import { RedisConsumers } from '../store/redis-consumers.ts';
import { loadConfig } from './configuration.ts';
import type { ConsumerHome, ConsumerRecord, WrittenConsumer } from './consumer-home.ts';

/** @throws when gateway.yaml names no store, or the store is away. */
export async function openConsumerStore(dir: string): Promise<ConsumerHome> {
  const { gateway } = await loadConfig(dir);
  const options = redisOptions(gateway.store);
  if (options === undefined)
    throw new Error('gateway.yaml names no store: write store: redis://…, or leave out --store');
  let away = '';
  const store = await RedisConsumers.open(options, {
    clock: systemClock,
    random: systemRandom,
    onChange: (isUp, reason) => void (away = isUp ? '' : reason),
  });
  if (away !== '') {
    await store.close();
    throw new Error(`the store at ${options.host}:${options.port} is away: ${away}`);
  }
  return new StoreHome(store, `${options.keyPrefix}consumers in ${options.host}:${options.port}`);
}

class StoreHome implements ConsumerHome {
  readonly #store: RedisConsumers;
  readonly #place: string;

  constructor(store: RedisConsumers, place: string) {
    this.#store = store;
    this.#place = place;
  }

  create(consumer: WrittenConsumer): Promise<void> {
    return this.#write(consumer);
  }

  async all(): Promise<ConsumerRecord[]> {
    const texts = [...(await this.#store.load())].sort(([a], [b]) => (a < b ? -1 : 1));
    return texts.map(([name, text]) => this.#record(name, text));
  }

  close(): Promise<void> {
    return this.#store.close();
  }

  #record(name: string, text: string): ConsumerRecord {
    const consumer = parse(name, text);
    const lists = consumer as unknown as { apiKeys?: object[]; basic?: object[] };
    return {
      consumer,
      place: this.#place,
      append: (list, item) => void (lists[list] ??= []).push(item),
      remove: (list, index) => void lists[list]?.splice(index, 1),
      save: () => this.#write(consumer),
      delete: () => this.#store.write(name, undefined),
    };
  }

  async #write(consumer: WrittenConsumer): Promise<void> {
    const { name } = consumer;
    const text = JSON.stringify(consumer);
    const read = readStoredConsumer(name, text, await scanLanguage());
    if (typeof read === 'string') throw new Error(`nothing was written, consumer '${name}' would be wrong: ${read}`);
    const taken = await this.#owner(consumer);
    if (taken !== undefined) throw new Error(`nothing was written: consumer '${taken}' has one of these credentials`);
    await this.#store.write(name, text);
  }

  /** Another consumer that has one of its credentials. */
  async #owner({ name, basic = [], apiKeys = [] }: WrittenConsumer): Promise<string | undefined> {
    const others = (await this.all()).filter((other) => other.consumer.name !== name);
    return others.find(
      ({ consumer }) =>
        consumer.basic?.some(({ username }) => basic.some((own) => own.username === username)) === true ||
        consumer.apiKeys?.some(({ sha256 }) => apiKeys.some((own) => own.sha256 === sha256)) === true,
    )?.consumer.name;
  }
}

/** What is no consumer at all can still be seen, and taken away. */
function parse(name: string, text: string): WrittenConsumer {
  try {
    return { ...(JSON.parse(text) as object), name };
  } catch {
    return { name };
  }
}
