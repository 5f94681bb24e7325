/**
 * Consumers where people can read them: consumers.d, a file for each that is made here, and whatever else was written
 * by hand. Edits keep comments and order, replace a file in one step, and never leave one that the gateway would refuse.
 */
import { randomUUID } from 'node:crypto';
import { chmod, chown, mkdir, open, readFile, realpath, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { isMap, isSeq, parseDocument, type Document as YamlDocument, type YAMLMap, type YAMLSeq } from 'yaml';
import { scanLanguage } from '../config/language.ts';
import { assemble } from '../config/load.ts';
import { isError } from '../config/problem.ts';
import {
  CONSUMERS_DIR,
  GATEWAY_FILE,
  isConsumerFile,
  readSources,
  ROUTES_DIR,
  type Source,
} from '../config/sources.ts';
import { listProblems } from './configuration.ts';
import type { ConsumerHome, ConsumerRecord, WrittenConsumer } from './consumer-home.ts';

/** Its group may read it: hashes of passwords are in it. */
const MODE = 0o640;

export class ConsumerFiles implements ConsumerHome {
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = resolve(dir);
  }

  async create(consumer: WrittenConsumer): Promise<void> {
    const file = fileOf(consumer.name);
    const bytes = await readFile(join(this.#dir, file)).catch(() => undefined);
    const document = bytes === undefined ? parseDocument('consumers: []\n') : parse(file, bytes);
    const list = consumersIn(document) ?? newList(document);
    list.flow = false;
    list.add(document.createNode(consumer));
    await this.#save(file, document);
  }

  async all(): Promise<ConsumerRecord[]> {
    const sources = await this.#sources();
    return sources.flatMap(({ file, bytes }) => {
      if (bytes === undefined || !mayHoldConsumers(file)) return [];
      const document = parse(file, bytes);
      const items = consumersIn(document)?.items ?? [];
      return items.filter(isMap).map((node) => this.#record(file, document, node));
    });
  }

  async #sources(): Promise<Source[]> {
    const sources = await readSources(this.#dir);
    if (sources.length > 0) return sources;
    throw new Error(
      `no ${GATEWAY_FILE} and no route files in ${ROUTES_DIR}/ of ${this.#dir}: is this the right directory?`,
    );
  }

  #record(file: string, document: YamlDocument, node: YAMLMap): ConsumerRecord {
    return {
      consumer: node.toJS(document) as WrittenConsumer,
      place: join(this.#dir, file),
      append(list, item) {
        const items = node.get(list);
        if (isSeq(items)) items.add(document.createNode(item));
        else node.set(list, document.createNode([item]));
      },
      remove: (list, index) => void node.deleteIn([list, index]),
      save: () => this.#save(file, document),
      delete: () => this.#delete(file, document, node),
    };
  }

  async #delete(file: string, document: YamlDocument, node: YAMLMap): Promise<void> {
    const list = consumersIn(document)!;
    list.delete(list.items.indexOf(node));
    // The file that was made for it goes with it.
    const isIts = file === fileOf(String(node.get('name')));
    if (isIts && list.items.length === 0) await rm(join(this.#dir, file));
    else await this.#save(file, document);
  }

  async #save(file: string, document: YamlDocument): Promise<void> {
    const bytes = Buffer.from(document.toString({ lineWidth: 0 }));
    await this.#check(file, bytes);
    await replaceFile(join(this.#dir, file), bytes);
  }

  /** Refused here rather than quarantined by the gateway. */
  async #check(file: string, bytes: Uint8Array): Promise<void> {
    const others = (await this.#sources()).filter((source) => source.file !== file);
    const { problems } = assemble(this.#dir, [...others, { file, bytes }], {
      env: process.env,
      language: await scanLanguage(),
    });
    const errors = problems.filter((problem) => isError(problem) && problem.file === file);
    if (errors.length > 0)
      throw new Error(`nothing was written, it would be wrong\n${listProblems(this.#dir, errors)}`);
  }
}

const fileOf = (name: string) => `${CONSUMERS_DIR}/${name}.yaml`;
const mayHoldConsumers = (file: string) => file === GATEWAY_FILE || isConsumerFile(file);

function parse(file: string, bytes: Uint8Array): YamlDocument {
  const document = parseDocument(Buffer.from(bytes).toString(), { version: '1.2', schema: 'core' });
  const [error] = document.errors;
  if (error !== undefined) throw new Error(`${file} is no valid YAML, see aya check: ${error.message.split('\n')[0]}`);
  return document;
}

function consumersIn(document: YamlDocument): YAMLSeq | undefined {
  const list = document.get('consumers');
  return isSeq(list) ? list : undefined;
}

function newList(document: YamlDocument): YAMLSeq {
  document.set('consumers', document.createNode([]));
  return consumersIn(document)!;
}

/** Whole or not at all, with the owner and mode that it had. */
async function replaceFile(path: string, bytes: Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const target = await realpath(path).catch(() => path);
  const before = await stat(target).catch(() => undefined);
  // Dot-files are nobody's configuration.
  const whole = join(dirname(target), `.${basename(target)}.${randomUUID()}`);
  try {
    const handle = await open(whole, 'wx', 0o600);
    try {
      await handle.writeFile(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    // Not every file system has owners, and not everybody may give files away.
    if (before !== undefined) await chown(whole, before.uid, before.gid).catch(() => undefined);
    await chmod(whole, before === undefined ? MODE : before.mode & 0o777);
    await rename(whole, target);
  } catch (error) {
    await rm(whole, { force: true });
    throw error;
  }
}
