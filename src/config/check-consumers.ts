/** What a schema cannot say about consumers: of one by itself, and of all together with the groups and routes. */
import { LEAST_N, normalForm, parsePasswordHash } from '../credentials/password-hash.ts';
import { child, type Document } from './document.ts';
import type { Placed } from './interpret.ts';
import { didYouMean } from './nearest.ts';
import type { Problem } from './problem.ts';
import type { ConsumerConfig, GroupConfig } from './schema.ts';

type PlacedConsumer = Placed<ConsumerConfig>;

/** The lists of credentials in a consumer. */
const CREDENTIALS = ['apiKeys', 'basic', 'jwt', 'certificates', 'signatureKeys'] as const;

export function checkConsumer(consumer: PlacedConsumer): Problem[] {
  return [
    ...checkPasswords(consumer),
    ...checkExpiries(consumer),
    ...checkKeyIds(consumer),
    ...checkConditions(consumer),
    ...checkUsable(consumer),
  ];
}

/** RFC 7617 §2: what no client can send. */
const UNSENDABLE = /[:\u0000-\u001f\u007f-\u009f]/;

function checkPasswords({ config, document, at }: PlacedConsumer): Problem[] {
  return config.basic.flatMap(({ username, password }, index) => {
    const place = (key: string) => document.valueAt(`${at}/basic/${index}/${key}`);
    const problems: Problem[] = [];
    if (UNSENDABLE.test(username)) {
      problems.push(document.error(place('username'), 'a username has neither colons nor control characters'));
    }
    const hash = parsePasswordHash(password);
    if (typeof hash === 'string') {
      problems.push(document.error(place('password'), `the password of '${username}' ${hash}`));
    } else if (hash.cost.N < LEAST_N) {
      const message = `the password of '${username}' is hashed with N ${hash.cost.N}, which is guessed too fast`;
      const hint = `N ${LEAST_N} is the least: set it anew with aya consumer password`;
      problems.push(document.warning(place('password'), message, hint));
    }
    return problems;
  });
}

function checkExpiries({ config, document, at }: PlacedConsumer): Problem[] {
  return (['apiKeys', 'basic', 'signatureKeys'] as const).flatMap((kind) =>
    config[kind].flatMap(({ expires }, index) => {
      if (expires === undefined || !Number.isNaN(expires)) return [];
      return [document.error(document.valueAt(`${at}/${kind}/${index}/expires`), 'no calendar has this day')];
    }),
  );
}

function checkKeyIds({ config, document, at }: PlacedConsumer): Problem[] {
  const seen = new Set<string>();
  return config.apiKeys.flatMap(({ id }, index) => {
    if (id === undefined || !seen.has(id)) {
      if (id !== undefined) seen.add(id);
      return [];
    }
    const place = document.valueAt(`${at}/apiKeys/${index}/id`);
    return [document.error(place, `two keys of consumer '${config.name}' have the id '${id}'`)];
  });
}

/** Conditions that are none would hold for every token and every certificate. */
function checkConditions({ config, document, at }: PlacedConsumer): Problem[] {
  return (['jwt', 'certificates'] as const).flatMap((kind) =>
    config[kind].flatMap((conditions, index) => {
      const given = Object.values(conditions).some(
        (value) => typeof value === 'string' || Object.keys(value).length > 0,
      );
      if (given) return [];
      const hint =
        kind === 'jwt' ? 'give it an issuer, a subject or claims' : 'give it a subject, a san or a fingerprint';
      const message = `consumer '${config.name}' would be everybody who has a valid one`;
      return [document.error(document.valueAt(`${at}/${kind}/${index}`), message, hint)];
    }),
  );
}

function checkUsable({ config, document, at }: PlacedConsumer): Problem[] {
  if (CREDENTIALS.some((kind) => config[kind].length > 0)) return [];
  const message = `consumer '${config.name}' has no credential: nobody can be it`;
  return [document.warning(document.valueAt(`${at}/name`), message, `aya consumer key ${config.name} makes a key`)];
}

// --- all together ----------------------------------------------------------------------------------------------------

/** @param gateway gateway.yaml. @param routes names of routes, also of those in files that have other faults. */
export function crossCheckConsumers(
  consumers: readonly PlacedConsumer[],
  groups: Readonly<Record<string, GroupConfig>>,
  gateway: Document,
  routes: ReadonlySet<string>,
): Problem[] {
  return [
    ...duplicates(consumers, ({ name }) => [[name, '/name', `consumer '${name}' is defined twice`]]),
    ...duplicates(consumers, ({ apiKeys }) =>
      apiKeys.map(({ sha256 }, index) => [sha256, `/apiKeys/${index}/sha256`, 'one key has two owners']),
    ),
    ...duplicates(consumers, ({ basic }) =>
      basic.map(({ username }, index) => [
        normalForm(username),
        `/basic/${index}/username`,
        `username '${username}' has two owners`,
      ]),
    ),
    ...duplicates(consumers, ({ signatureKeys }) =>
      signatureKeys.map(({ id }, index) => [id, `/signatureKeys/${index}/id`, `signature key '${id}' has two owners`]),
    ),
    ...unknownGroups(consumers, new Set(Object.keys(groups))),
    ...unknownRoutes(groups, gateway, routes),
  ];
}

/** What must be unique, the place below the consumer, and what to say when it is not. */
type Unique = readonly [value: string, at: string, message: string];

function duplicates(
  consumers: readonly PlacedConsumer[],
  uniquesOf: (consumer: ConsumerConfig) => readonly Unique[],
): Problem[] {
  const first = new Map<string, readonly [PlacedConsumer, string]>();
  const problems: Problem[] = [];
  for (const consumer of consumers) {
    for (const [value, below, message] of uniquesOf(consumer.config)) {
      const earlier = first.get(value);
      if (earlier === undefined) {
        first.set(value, [consumer, below]);
        continue;
      }
      const [owner, where] = earlier;
      const { document, at } = consumer;
      const { line, column } = owner.document.valueAt(owner.at + where);
      const place = `${owner.document.file}:${line}:${column}`;
      problems.push(document.error(document.valueAt(at + below), `${message}: first at ${place}`));
    }
  }
  return problems;
}

/** Without any under `groups:` they are but words for expressions and upstreams. */
function unknownGroups(consumers: readonly PlacedConsumer[], known: ReadonlySet<string>): Problem[] {
  if (known.size === 0) return [];
  return consumers.flatMap(({ config, document, at }) =>
    config.groups.flatMap((group, index) => {
      if (known.has(group)) return [];
      const hint = didYouMean(group, known) ?? 'define it under groups: in gateway.yaml';
      return [document.warning(document.valueAt(`${at}/groups/${index}`), `no group is named '${group}'`, hint)];
    }),
  );
}

function unknownRoutes(
  groups: Readonly<Record<string, GroupConfig>>,
  gateway: Document,
  routes: ReadonlySet<string>,
): Problem[] {
  return Object.entries(groups).flatMap(([name, group]) =>
    (group.routes ?? []).flatMap((route, index) => {
      if (routes.has(route)) return [];
      const place = gateway.valueAt(`${child('/groups', name)}/routes/${index}`);
      return [gateway.error(place, `no route is named '${route}'`, didYouMean(route, routes))];
    }),
  );
}
