/**
 * `aya plan`: what the files of a directory would change in the gateway that runs now. The files are read here, so they
 * may be a checkout that the gateway has never seen; secrets, which it does not show, are not compared.
 */
import { relative, resolve } from 'node:path';
import { diff, type Change } from '../config/diff.ts';
import { redact } from '../config/redact.ts';
import type { Config, ListenerConfig, PoolConfig } from '../config/schema.ts';
import { keepUntilRestart } from '../control/restart-keys.ts';
import { adminOf, type AdminOptions } from './admin-client.ts';
import { loadGood } from './configuration.ts';
import { counted, EXIT, json, type Outcome } from './outcome.ts';
import { bold, green, red, yellow } from './style.ts';

export interface PlanOptions extends AdminOptions {
  /** Tell by the exit code whether anything would change. */
  readonly exitCode?: boolean;
  readonly json?: boolean;
}

export async function plan(dir: string, options: PlanOptions = {}): Promise<Outcome> {
  const { config, secrets } = await loadGood(dir);
  const admin = adminOf(options, config);
  const running = await admin.get<Config>('/config');
  const next = relocate(asJson(redact(config, secrets)), running.dir);
  const changes = diff(running, next);
  const needRestart = keepUntilRestart(running.gateway, next.gateway).kept;

  const exitCode = options.exitCode === true && changes.length > 0 ? EXIT.changes : EXIT.done;
  if (options.json === true) return { out: json({ gateway: admin.url, changes, needRestart }), exitCode };
  if (changes.length === 0) return { out: `nothing would change in the gateway at ${admin.url}`, exitCode };
  return { out: [...changes.map(describe), summary(changes), ...restartNote(needRestart)].join('\n'), exitCode };
}

/** What the gateway's answer went through too, so that only real differences are left. */
const asJson = (config: Config) => JSON.parse(JSON.stringify(config)) as Config;

/** Paths in the files are relative to their directory: the same file in another checkout is no change. */
function relocate(config: Config, dir: string): Config {
  const moved = (path: string) => resolve(dir, relative(config.dir, path));
  const movedPool = (pool: PoolConfig): PoolConfig => {
    if (pool.tls === undefined) return pool;
    const tls = { ...pool.tls };
    for (const key of ['ca', 'cert', 'key'] as const) if (tls[key] !== undefined) tls[key] = moved(tls[key]);
    return { ...pool, tls };
  };
  const movedListener = (listener: ListenerConfig): ListenerConfig => {
    if (listener.tls === undefined) return listener;
    const { certificates, acme, clientCa } = listener.tls;
    // Of keys, /config does not show where they are.
    const moves = certificates.map(({ cert, key }) => ({ cert: moved(cert), key }));
    const movedAcme = acme && { ...acme, storage: moved(acme.storage), ...(acme.ca && { ca: moved(acme.ca) }) };
    const authorities = { ...(acme && { acme: movedAcme }), ...(clientCa && { clientCa: moved(clientCa) }) };
    const tls = { ...listener.tls, certificates: moves, ...authorities };
    return { ...listener, tls };
  };
  const gateway = { ...config.gateway, listen: config.gateway.listen.map(movedListener) };
  return { ...config, dir, gateway, pools: config.pools.map(movedPool) };
}

const SIGN = { added: green('+'), removed: red('-'), changed: yellow('~') } as const;

function describe({ kind, name, change, paths }: Change): string {
  const what = name === '' ? 'gateway.yaml' : `${kind} ${bold(name)}`;
  return `${SIGN[change]} ${what}${paths.length === 0 ? '' : `: ${paths.join(', ')}`}`;
}

function summary(changes: readonly Change[]): string {
  const count = (change: Change['change']) => changes.filter((one) => one.change === change).length;
  return `\n${counted(changes.length, 'change')}: ${count('added')} added, ${count('changed')} changed, ${count('removed')} removed`;
}

function restartNote(keys: readonly string[]): string[] {
  return keys.length === 0
    ? []
    : [`${yellow('only a restart brings')} ${keys.join(', ')}; a reload keeps the old value`];
}
