/**
 * One certificate: found in the storage at the start, ordered when it is missing, renewed in time. Of several gateways with
 * one store, one orders and the others take what it wrote.
 */
import { createPrivateKey, hash } from 'node:crypto';
import type { Clock, Random, Timer } from '../../clock.ts';
import type { AcmeConfig } from '../../config/acme-schema.ts';
import type { RedisAcme } from '../../store/redis-acme.ts';
import type { ControlLog } from '../log.ts';
import type { ManagedCertificateView } from '../view.ts';
import { readIssued, type Issued } from './issued.ts';
import { failedOnce, NO_ATTEMPTS, readAttempts, succeeded, UNDER_WAY, type Attempts } from './attempts.ts';
import { renewAt } from './schedule.ts';
import { AcmeStorage } from './storage.ts';

/** An order that takes longer has failed. */
const ORDER_MS = 5 * 60_000;
/** Longer than an order: it is held until whoever has it is done, or dead. */
const LEASE_MS = ORDER_MS + 30_000;
/** So often is asked whether whoever has the lease is done, where nothing was heard. */
const LOOK_AGAIN_MS = 5_000;

export interface CertificateParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: ControlLog;
  readonly fleet: RedisAcme | undefined;
  /** Who holds leases. */
  readonly holder: string;
  /** Resolves when every gateway gives these answers, by token. */
  readonly show: (name: string, answers: ReadonlyMap<string, string>) => Promise<void>;
  /** There is another one to be shown to clients. */
  readonly onIssued: () => void;
}

/** The same names from the same authority are the same certificate. */
export function certificateName({ directory, domains, keyType }: AcmeConfig): string {
  return `certificate-${domains[0]}-${digest([directory, [...domains].sort(), keyType])}`;
}

const accountName = ({ directory, email, externalAccount }: AcmeConfig) =>
  `account-${new URL(directory).hostname}-${digest([directory, email, externalAccount?.keyId])}`;

const digest = (of: unknown) => hash('sha256', JSON.stringify(of), 'hex').slice(0, 12);

export class ManagedCertificate {
  readonly name: string;
  readonly #config: AcmeConfig;
  readonly #parts: CertificateParts;
  readonly #storage: AcmeStorage;
  readonly #label: string;
  readonly #orders = { ok: 0, failed: 0 };
  #issued: Issued | undefined;
  #renewAt = 0;
  #attempts = NO_ATTEMPTS;
  #isAsking = false;
  #lookAgainAt = 0;
  #isLoaded = false;
  /** Why nothing can be done; empty when it can. */
  #trouble = '';
  #ordering: AbortController | undefined;
  #ended: Promise<void> | undefined;
  #isClosed = false;

  constructor(config: AcmeConfig, parts: CertificateParts) {
    this.name = certificateName(config);
    this.#config = config;
    this.#parts = parts;
    this.#label = config.domains[0]!;
    this.#storage = new AcmeStorage(config.storage, parts.fleet, parts.log);
  }

  get issued(): Issued | undefined {
    return this.#issued;
  }

  get view(): ManagedCertificateView {
    const { domains, directory } = this.#config;
    const { failures, reason, notBefore } = this.#attempts;
    return {
      name: this.#label,
      domains,
      directory,
      state: this.#ordering === undefined ? (this.#issued === undefined ? 'missing' : 'issued') : 'ordering',
      validTo: this.#issued?.validTo,
      renewAt: this.#issued && this.#renewAt,
      failures,
      failure: failures === 0 ? this.#trouble || undefined : reason,
      tryAgainAt: failures === 0 ? undefined : notBefore,
      orders: this.#orders,
    };
  }

  /** Takes what the storage has. Never rejects: nothing is ordered before it could be read. */
  async load(): Promise<void> {
    try {
      await this.#load();
      this.#isLoaded = true;
      this.#trouble = '';
    } catch (error) {
      this.#wait((error as Error).message);
    }
  }

  async #load(): Promise<void> {
    const { domains } = this.#config;
    const found = await this.#storage.read(this.name, (value) => readIssued(value, domains));
    const attempts = await this.#storage.read(`${this.name}.attempts`, readAttempts);
    // Of an order of our own more is known here.
    if (!this.#isAsking) this.#attempts = attempts ?? this.#attempts;
    const validTo = this.#issued?.validTo ?? 0;
    if (found !== undefined && found.validTo >= validTo) await this.#adopt(found);
    else if (this.#issued !== undefined && this.#parts.fleet?.isUp === true) await this.#write(this.#issued);
  }

  /** Orders, when it is time to. Never rejects. */
  async tick(): Promise<void> {
    if (this.#now < this.#lookAgainAt) return;
    if (!this.#isLoaded) await this.load();
    if (!this.#isLoaded || this.#isClosed || this.#ordering !== undefined || !this.#isDue) return;
    this.#ended = this.#tryOrder();
    await this.#ended;
  }

  async #tryOrder(): Promise<void> {
    const ordering = new AbortController();
    this.#ordering = ordering;
    try {
      await this.#orderAlone(ordering);
      this.#trouble = '';
    } catch (error) {
      this.#wait((error as Error).message);
    } finally {
      this.#ordering = undefined;
    }
  }

  /** The storage is not as it should be: the next look is not far. Said once. */
  #wait(reason: string): void {
    this.#lookAgainAt = this.#now + LOOK_AGAIN_MS;
    if (this.#trouble === reason) return;
    this.#trouble = reason;
    const fields = { event: 'acme_waits', certificate: this.#label, reason };
    this.#parts.log.warn(fields, `the certificate for ${this.#label} is not ordered now: ${reason}`);
  }

  /** Resolves when an order that was under way has left no trace. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#ordering?.abort(new Error('the gateway is shutting down'));
    await this.#ended;
  }

  get #now(): number {
    return this.#parts.clock.wall();
  }

  get #isDue(): boolean {
    const { failures, notBefore } = this.#attempts;
    // One that got lost after it was issued is not waited for.
    if (this.#issued === undefined && failures === 0) return true;
    return this.#now >= notBefore && (this.#issued === undefined || this.#now >= this.#renewAt);
  }

  async #orderAlone(ordering: AbortController): Promise<void> {
    const { fleet, holder } = this.#parts;
    if (fleet === undefined) return this.#order(ordering);
    if (!(await fleet.lease(this.name, holder, LEASE_MS))) {
      this.#lookAgainAt = this.#now + LOOK_AGAIN_MS;
      return;
    }
    try {
      // Whoever had it before may have done what was to be done, or failed.
      await this.load();
      if (this.#isDue && !this.#isClosed) await this.#order(ordering);
    } finally {
      await fleet.release(this.name, holder);
    }
  }

  async #order(ordering: AbortController): Promise<void> {
    const { clock, random, log } = this.#parts;
    const deadline: Timer = clock.after(ORDER_MS, () =>
      ordering.abort(new Error(`not done within ${ORDER_MS / 60_000} minutes`)),
    );
    log.info(
      { event: 'acme_order', certificate: this.#label, domains: this.#config.domains },
      `ordering a certificate for ${this.#label}`,
    );
    this.#isAsking = true;
    try {
      // Where nothing can be kept, nothing is asked for.
      await this.#note(failedOnce(this.#attempts, UNDER_WAY, this.#now, random));
      const issued = await this.#run(ordering.signal);
      this.#orders.ok++;
      await this.#keep(issued);
    } catch (error) {
      await this.#fail(error);
    } finally {
      this.#isAsking = false;
      deadline.cancel();
    }
  }

  async #run(signal: AbortSignal): Promise<Issued> {
    const { clock, show } = this.#parts;
    const { runOrder } = await import('./order.ts');
    const accountKey = await this.#accountKey();
    return runOrder({
      config: this.#config,
      accountKey,
      clock,
      signal,
      show: (answers) => show(this.name, answers),
    });
  }

  async #accountKey(): Promise<string> {
    const name = accountName(this.#config);
    const known = await this.#storage.read(name, readAccount);
    if (known !== undefined) return known;
    const { newAccountKey } = await import('./session.ts');
    // Another certificate of the same account may be ordered elsewhere at this moment.
    return this.#storage.writeFirst(name, { key: newAccountKey() }, readAccount);
  }

  async #keep(issued: Issued): Promise<void> {
    this.#attempts = succeeded(issued, this.#now);
    try {
      await this.#write(issued);
      await this.#note(this.#attempts);
    } catch (error) {
      // It serves nevertheless, and the order stands written as one that failed: a restart does not ask at once.
      const reason = (error as Error).message;
      const fields = { event: 'acme_storage', certificate: this.#label, reason };
      this.#parts.log.error(fields, `the certificate for ${this.#label} is in memory only: ${reason}`);
    }
    await this.#adopt(issued);
  }

  #write({ chain, key }: Issued): Promise<void> {
    return this.#storage.write(this.name, { chain, key });
  }

  async #adopt(issued: Issued): Promise<void> {
    const isNew = this.#issued?.chain !== issued.chain;
    this.#issued = issued;
    this.#renewAt = renewAt(issued, this.#parts.random);
    if (!isNew) return;
    const validTo = new Date(issued.validTo).toISOString();
    this.#parts.log.info(
      { event: 'acme_certificate', certificate: this.#label, validTo },
      `the certificate for ${this.#label} is valid until ${validTo}`,
    );
    if (this.#parts.fleet !== undefined) await this.#storage.copy(this.name, { chain: issued.chain, key: issued.key });
    this.#parts.onIssued();
  }

  async #fail(error: unknown): Promise<void> {
    if (this.#isClosed) return this.#note(this.#attempts).catch(() => {});
    const reason = error instanceof Error ? error.message : String(error);
    const { retryAfterSeconds = 0 } = error as { retryAfterSeconds?: number };
    this.#orders.failed++;
    const attempts = failedOnce(this.#attempts, reason, this.#now, this.#parts.random, retryAfterSeconds);
    this.#attempts = attempts;
    await this.#note(attempts).catch(() => {});
    const fields = { event: 'acme_failed', certificate: this.#label, reason, failures: attempts.failures };
    const tryAgainAt = new Date(attempts.notBefore).toISOString();
    this.#parts.log.error(
      { ...fields, tryAgainAt },
      `no certificate for ${this.#label}: ${reason}; next try ${tryAgainAt}`,
    );
  }

  #note(attempts: Attempts): Promise<void> {
    return this.#storage.write(`${this.name}.attempts`, attempts);
  }
}

/** @throws when it is no key. */
function readAccount({ key }: { readonly key?: unknown }): string {
  if (typeof key !== 'string') throw new Error('there is no key');
  createPrivateKey(key);
  return key;
}
