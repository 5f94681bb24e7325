/**
 * A directory → one checked configuration, or everything that is wrong with it.
 *
 * At start any error refuses the whole. On a reload a file that is wrong is quarantined: its last good version goes on
 * serving beside what is new. What serves is always a set of files that fit together.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { AnyPlugin } from '../extension.ts';
import { checkLimits } from './check-limits.ts';
import { crossCheckConsumers } from './check-consumers.ts';
import { checkRateLimits } from './check-rate-limits.ts';
import { crossCheckSticky } from './check-sticky.ts';
import { checkAgainstGateway, crossCheck, optionsOf } from './cross-check.ts';
import type { Document } from './document.ts';
import { interpretConsumers } from './interpret-consumers.ts';
import { interpretGateway, interpretRoutes, type GatewayFile, type Placed, type RouteFile } from './interpret.ts';
import { scanLanguage, type Language } from './language.ts';
import { isObject } from './merge.ts';
import { FILE, type Environment } from './placeholders.ts';
import { isError, sortProblems, START, type Problem } from './problem.ts';
import { decode, hashOf, readDocument } from './read.ts';
import { SECRET_NAME } from './redact.ts';
import type { Config, ConsumerConfig, ListenerConfig, PoolConfig, RouteConfig } from './schema.ts';
import { secretFiles, type SecretFiles } from './secret-files.ts';
import { GATEWAY_FILE, isConsumerFile, readSources, ROUTES_DIR, type Source } from './sources.ts';
import { digestOf, readTlsFiles } from './tls-files.ts';

export interface LoadOptions {
  /** For placeholders. Default: none is set. */
  readonly env?: Environment;
  /** Files of the configuration that is serving: makes this a reload. */
  readonly previous?: LoadedFiles;
  /** Default: that of the folders. */
  readonly language?: Language;
}

export interface LoadResult {
  /** Absent when refused. */
  readonly config: Config | undefined;
  /** In reading order. On a reload those of quarantined files are among them. */
  readonly problems: readonly Problem[];
  /** To be given to the next load, when this one's `config` serves. */
  readonly files: LoadedFiles;
  /** What the environment gave under a secret's name, for `redact`. */
  readonly secrets: readonly string[];
}

export type LoadedFiles = readonly LoadedFile[];

export interface LoadedFile {
  /** Relative to the directory. */
  readonly path: string;
  /** Of what is on the disk. */
  readonly hash: string;
  /** `stale`: what is on the disk is wrong, and an older version serves, or nothing. */
  readonly state: 'ok' | 'stale';
  /** What is wrong with what is on the disk, and warnings. */
  readonly problems: readonly Problem[];
  /** The version that serves. */
  readonly document?: Document;
  /** Digests of the files that it names, by full path; of what is on the disk, as far as it was read. */
  readonly attached: ReadonlyMap<string, string>;
}

export async function load(dir: string, options: LoadOptions = {}): Promise<LoadResult> {
  const language = options.language ?? (await scanLanguage());
  return assemble(resolve(dir), await readSources(resolve(dir)), { ...options, language });
}

/** The same for files that were read already. */
export function assemble(
  dir: string,
  sources: readonly Source[],
  options: LoadOptions & { readonly language: Language },
): LoadResult {
  if (sources.length === 0) return refuseEmpty();
  const secrets = secretFiles(dir, options.env ?? {});
  const versions = sources.map((source) => new Versions(source, options, secrets));
  for (;;) {
    const attempt = interpret(dir, versions, options.language);
    const errors = [...versions.flatMap((version) => version.problems), ...attempt.problems].filter(isError);
    if (attempt.config !== undefined) return accept(attempt.config, attempt.problems, versions);
    // Each round sets at least one file back by a version, so the rounds come to an end.
    const setBack = versions.filter((version) => version.setBack(errors));
    if (setBack.length === 0) return refuse(attempt.problems, versions);
  }
}

/** One file and what may stand for it: what is on the disk, else the version that serves now, else, for a new one, nothing. */
class Versions {
  readonly file: string;
  /** What is wrong with the version on the disk, once it was set back. */
  problems: readonly Problem[] = [];
  document: Document | undefined;
  /** What is on the disk. */
  readonly #read: Document | undefined;
  /** Not even set back to anything: a file that cannot be read at start. */
  unreadable = false;
  readonly #hash: string;
  readonly #isReload: boolean;
  readonly #serving: Document | undefined;
  #isStale = false;

  constructor(source: Source, { env = {}, previous }: LoadOptions, secrets: SecretFiles) {
    this.file = source.file;
    this.#hash = source.bytes === undefined ? '' : hashOf(source.bytes);
    this.#isReload = previous !== undefined;
    const before = previous?.find((file) => file.path === source.file);
    this.#serving = before?.document;
    const unchanged = before !== undefined && canServeOn(before, this.#hash) ? before : undefined;
    const { document, problems } = unchanged ?? readSource(source, env, secrets);
    this.document = this.#read = document;
    if (document !== undefined) return;
    this.problems = problems;
    if (!this.setBack(problems)) this.unreadable = true;
  }

  /** Whether there was another version to go back to. */
  setBack(errors: readonly Problem[]): boolean {
    const own = errors.filter((error) => error.file === this.file);
    if (own.length === 0 || this.#isStale || !this.#isReload) return false;
    this.#isStale = true;
    this.problems = own;
    this.document = this.#serving;
    return true;
  }

  loaded(warnings: readonly Problem[]): LoadedFile {
    const problems = [...this.problems, ...warnings.filter((warning) => warning.file === this.file)];
    const state = this.#isStale || this.unreadable ? 'stale' : 'ok';
    // The serving version first: what was read of the disk says more.
    const named = [this.document, this.#read].flatMap((document) => [...(document?.attached ?? [])]);
    const secrets = [this.document, this.#read].flatMap((document) => [...(document?.secretFiles ?? [])]);
    const attached = new Map([...named.map(([path, { digest }]) => [path, digest] as const), ...secrets]);
    const file = { path: this.file, hash: this.#hash, state, problems, attached } as const;
    return this.document === undefined ? file : { ...file, document: this.document };
  }
}

/** Consumers can be very many: their file is not read again while neither it nor what it takes from elsewhere can differ. */
function canServeOn({ path, hash, state, document }: LoadedFile, hashNow: string): boolean {
  if (!isConsumerFile(path) || state !== 'ok' || hash !== hashNow || document === undefined) return false;
  return document.fromEnv.length === 0 && document.secretFiles.size === 0;
}

function readSource(
  { file, bytes, problem }: Source,
  env: Environment,
  secrets: SecretFiles,
): { document?: Document; problems: readonly Problem[] } {
  if (bytes === undefined) return { problems: problem === undefined ? [] : [problem] };
  const { text, problems } = decode(file, bytes);
  return text === undefined ? { problems } : readDocument(file, text, env, secrets);
}

// --- one set of versions ---------------------------------------------------------------------------------------------

interface Attempt {
  readonly config?: Config;
  readonly problems: readonly Problem[];
}

function interpret(dir: string, versions: readonly Versions[], language: Language): Attempt {
  const documents = versions.flatMap(({ document }) => document ?? []);
  const gatewayDocument = documents.find(({ file }) => file === GATEWAY_FILE) ?? emptyDocument();
  const consumerDocuments = documents.filter(({ file }) => isConsumerFile(file));
  const routeDocuments = documents.filter(({ file }) => file !== GATEWAY_FILE && !isConsumerFile(file));

  const gateway = interpretGateway(gatewayDocument, dir, language);
  const defaults = gateway.meaning?.defaults ?? {};
  const interpreted = routeDocuments.map((document) => interpretRoutes(document, defaults, dir, language));
  const files = interpreted.flatMap(({ meaning }) => meaning ?? []);
  const callers = consumerDocuments.map((document) => interpretConsumers(document, language));
  const problems = [...gateway.problems, ...[...interpreted, ...callers].flatMap((file) => file.problems)];

  // Without a file whose names cannot even be read, every name of it would be an error elsewhere.
  if (versions.some((version) => version.unreadable)) return { problems };
  problems.push(...crossCheck(files, poolNames(routeDocuments), language.plugins));
  if (gateway.meaning === undefined || problems.some(isError)) return { problems };
  const routes = files.flatMap((file) => file.routes);
  problems.push(...checkAgainstGateway(routes, gateway.meaning.config, language.plugins));
  problems.push(...checkLimits(routes, gateway.meaning.config.listen));
  const pools = files.flatMap((file) => file.pools);
  problems.push(...crossCheckSticky(pools, gateway.meaning.config));
  const consumers = [...gateway.meaning.consumers, ...callers.flatMap(({ meaning }) => meaning ?? [])];
  const routeNames = new Set(routes.map(({ config }) => config.name));
  problems.push(...crossCheckConsumers(consumers, gateway.meaning.config.groups, gatewayDocument, routeNames));
  problems.push(...checkRateLimits(routes, consumers, gateway.meaning.config, gatewayDocument));
  if (problems.some(isError)) return { problems };
  return { config: configFrom(dir, gateway.meaning, files, consumers, language), problems };
}

function emptyDocument(): Document {
  return readDocument(GATEWAY_FILE, '', {}).document!;
}

function poolNames(documents: readonly Document[]): ReadonlySet<string> {
  return new Set(
    documents.flatMap(({ value }) => (isObject(value) && isObject(value.pools) ? Object.keys(value.pools) : [])),
  );
}

function configFrom(
  dir: string,
  gateway: GatewayFile,
  files: readonly RouteFile[],
  consumers: readonly Placed<ConsumerConfig>[],
  { plugins }: Language,
): Config {
  const routes = files.flatMap((file) => file.routes.map((route) => route.config));
  const contents = {
    gateway: { ...gateway.config, listen: gateway.config.listen.map(withCertificateDigest) },
    pools: files.flatMap((file) => file.pools.map((pool) => withTlsDigest(pool.config))),
    routes,
    consumers: consumers.map(({ config }) => config),
    documents: documentsOf(routes, plugins),
  };
  return { dir, revision: revisionOf(contents), ...contents };
}

function documentsOf(routes: readonly RouteConfig[], plugins: readonly AnyPlugin[]): string[] {
  const urls = routes.flatMap((route) =>
    plugins.flatMap((plugin) => {
      const options = optionsOf(plugin, route);
      return options === undefined ? [] : (plugin.documents?.(options) ?? []);
    }),
  );
  return [...new Set(urls)].sort();
}

function withTlsDigest(pool: PoolConfig): PoolConfig {
  const files = [pool.tls?.ca, pool.tls?.cert, pool.tls?.key].filter((file) => file !== undefined);
  return files.length === 0 ? pool : { ...pool, tlsDigest: digestOf(files.map((file) => readFileSync(file))) };
}

function withCertificateDigest(listener: ListenerConfig): ListenerConfig {
  const { tls } = listener;
  return tls === undefined ? listener : { ...listener, tlsDigest: readTlsFiles(tls).digest };
}

/** Comments, order of keys and lines that moved are no change. */
function revisionOf(contents: Omit<Config, 'dir' | 'revision'>): string {
  const effective = JSON.stringify(contents, (key, value: unknown) => (key === 'source' ? undefined : sortKeys(value)));
  return createHash('sha256').update(effective).digest('hex').slice(0, 12);
}

const sortKeys = (value: unknown) =>
  isObject(value) ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) : value;

// --- results ---------------------------------------------------------------------------------------------------------

function accept(config: Config, warnings: readonly Problem[], versions: readonly Versions[]): LoadResult {
  const problems = [...versions.flatMap((version) => version.problems), ...warnings];
  return result(config, problems, versions, warnings);
}

function refuse(problems: readonly Problem[], versions: readonly Versions[]): LoadResult {
  return result(undefined, [...versions.flatMap((version) => version.problems), ...problems], versions, problems);
}

function result(
  config: Config | undefined,
  problems: readonly Problem[],
  versions: readonly Versions[],
  own: readonly Problem[],
): LoadResult {
  return {
    config,
    problems: sortProblems(problems),
    files: versions.map((version) => version.loaded(own)),
    secrets: secretsOf(versions),
  };
}

function secretsOf(versions: readonly Versions[]): string[] {
  const values = versions.flatMap(({ document }) => document?.fromEnv ?? []);
  return [...new Set(values.filter(({ name, value }) => isSecret(name) && value !== '').map(({ value }) => value))];
}

const isSecret = (name: string) => name.startsWith(FILE) || SECRET_NAME.test(name);

function refuseEmpty(): LoadResult {
  const message = `no ${GATEWAY_FILE} and no route files in ${ROUTES_DIR}/: is this the right directory?`;
  return { config: undefined, problems: [{ severity: 'error', file: '.', ...START, message }], files: [], secrets: [] };
}
