/** Consumers as they are written, in gateway.yaml or a file of consumers.d → in the form that the code sees. */
import { complete } from './complete.ts';
import { checkConsumer } from './check-consumers.ts';
import { checkStoredLimits } from './check-rate-limits.ts';
import { Document } from './document.ts';
import type { Interpreted, Placed } from './interpret.ts';
import type { Language } from './language.ts';
import { isObject } from './merge.ts';
import { isError, type Problem } from './problem.ts';
import type { ConsumerConfig } from './schema.ts';
import { validate } from './validate.ts';

type Consumers = Interpreted<readonly Placed<ConsumerConfig>[]>;

/** There may be a hundred thousand: a file that has not changed is not read twice. */
const known = new WeakMap<Document, Consumers>();

/** A file of consumers.d. */
export function interpretConsumers(document: Document, language: Language): Consumers {
  let consumers = known.get(document);
  if (consumers === undefined) known.set(document, (consumers = interpret(document, language)));
  return consumers;
}

function interpret(document: Document, language: Language): Consumers {
  const invalid = validate(language.checkConsumerFile, document.value, document);
  if (invalid.length > 0) return { problems: invalid };
  const { consumers = [] } = complete(language.schemas.consumerFile, document.value) as {
    consumers?: readonly ConsumerConfig[];
  };
  return placeConsumers(consumers, document);
}

/** Those of a list under `consumers`. */
export function placeConsumers(consumers: readonly ConsumerConfig[], document: Document): Consumers {
  const placed = consumers.map((config, index) => ({ config, document, at: `/consumers/${index}` }));
  const problems: Problem[] = placed.flatMap(checkConsumer);
  return problems.some(isError) ? { problems } : { meaning: placed, problems };
}

/** A consumer of the store. @returns what is wrong with it, where anything is. */
export function readStoredConsumer(name: string, text: string, language: Language): ConsumerConfig | string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return 'it is no JSON';
  }
  if (!isObject(value) || value.name !== name) return 'its name is not the one that it is kept under';
  const document = new Document('store', { consumers: [value] }, [], new Map(), new Map());
  const { meaning = [], problems } = interpret(document, language);
  // Of those in files the loader looks at the limits, when it knows all of them.
  const error = [...problems, ...meaning.flatMap(checkStoredLimits)].find(isError);
  return error?.message ?? meaning[0]?.config ?? 'it is empty';
}
