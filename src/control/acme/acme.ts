/**
 * Certificates that are ordered and renewed (ACME, RFC 8555), for all listeners: which there are, what the data threads must
 * answer to authorities meanwhile, and what other gateways of the fleet have come to know. Nothing of it is loaded where no
 * listener has `acme`.
 */
import { randomUUID } from 'node:crypto';
import type { Clock, Random, Timer } from '../../clock.ts';
import type { AcmeConfig } from '../../config/acme-schema.ts';
import type { Config, ListenerConfig } from '../../config/schema.ts';
import type { RedisOptions } from '../../store/options.ts';
import type { RedisAcme } from '../../store/redis-acme.ts';
import type { ControlLog } from '../log.ts';
import type { ManagedCertificateView } from '../view.ts';
import { isLive, readChallenges, writeChallenges, type Challenges } from './challenges.ts';
import type { Issued } from './issued.ts';
import { certificateName, ManagedCertificate } from './managed-certificate.ts';
import { pause } from '../../pause.ts';

const POLL_MS = 1_000;
/** Until all threads of this gateway have heard, and until all gateways of a fleet have asked the store. */
const HEARD_MS = { alone: 100, fleet: 2.5 * POLL_MS } as const;

/** Whoever is told to end waits no longer for a store that is slow. */
const CLOSE_MS = 1_000;

export interface AcmeParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: ControlLog;
  readonly store: RedisOptions | undefined;
  /** To all data threads: answers by token, in place of those before. */
  readonly publish: (pending: ReadonlyMap<string, string>) => void;
  /** Has the data threads show what is issued now. */
  readonly install: () => Promise<void>;
}

export class AcmeFollower {
  readonly #parts: AcmeParts;
  readonly #holder = randomUUID();
  readonly #managed = new Map<string, ManagedCertificate>();
  /** By certificate: what its order, here, waits for. */
  readonly #own = new Map<string, ReadonlyMap<string, string>>();
  #others: readonly Challenges[] = [];
  #pending: ReadonlyMap<string, string> = new Map();
  #fleet: RedisAcme | undefined;
  #version = '';
  #timer: Timer | undefined;
  #isPolling = false;
  #isRunning = false;
  #isInstalled = true;
  readonly #ending = new AbortController();
  #isClosed = false;
  #closing: Promise<void> | undefined;

  constructor(parts: AcmeParts) {
    this.#parts = parts;
  }

  /** Resolves when what is stored is there to be shown. */
  async start(config: Config): Promise<void> {
    const wanted = wantedBy(config);
    if (wanted.size === 0) return;
    await this.#openFleet();
    await Promise.all(this.#update(wanted).map((certificate) => certificate.load()));
    this.#isInstalled = true;
  }

  /** Once the listeners are open: authorities ask there. */
  run(): void {
    this.#isRunning = true;
    if (this.#managed.size > 0) this.#begin();
  }

  /** From now on these listeners. */
  async follow(config: Config): Promise<void> {
    const wanted = wantedBy(config);
    if (!this.#isRunning) return;
    if (wanted.size > 0) await this.#openFleet();
    if (this.#isClosed) return;
    await Promise.all(this.#update(wanted).map((certificate) => certificate.load()));
    if (this.#managed.size > 0) this.#begin();
  }

  issuedFor({ tls }: ListenerConfig): Issued | undefined {
    return tls?.acme === undefined ? undefined : this.#managed.get(certificateName(tls.acme))?.issued;
  }

  /** What every new thread has to know. */
  get pending(): ReadonlyMap<string, string> {
    return this.#pending;
  }

  get views(): readonly ManagedCertificateView[] {
    return [...this.#managed.values()].map(({ view }) => view);
  }

  /** Orders that are under way end. Resolves when the storage knows, or will not in time. */
  close(): Promise<void> {
    return (this.#closing ??= new Promise((resolve) => {
      const late = this.#parts.clock.after(CLOSE_MS, resolve);
      void this.#close().finally(() => {
        late.cancel();
        resolve();
      });
    }));
  }

  async #close(): Promise<void> {
    this.#isClosed = true;
    this.#ending.abort(new Error('the gateway is shutting down'));
    this.#timer?.cancel();
    await Promise.all([...this.#managed.values()].map((certificate) => certificate.close()));
    await this.#fleet?.close();
  }

  /** @returns those that are new. */
  #update(wanted: ReadonlyMap<string, AcmeConfig>): ManagedCertificate[] {
    for (const [name, certificate] of this.#managed) {
      if (wanted.has(name)) continue;
      void certificate.close();
      this.#managed.delete(name);
    }
    const added = [...wanted].filter(([name]) => !this.#managed.has(name));
    return added.map(([name, config]) => {
      const { clock, random, log } = this.#parts;
      const certificate = new ManagedCertificate(config, {
        clock,
        random,
        log,
        fleet: this.#fleet,
        holder: this.#holder,
        show: (certificateNamed, answers) => this.#show(certificateNamed, answers),
        onIssued: () => void this.#install(),
      });
      this.#managed.set(name, certificate);
      return certificate;
    });
  }

  #begin(): void {
    this.#timer ??= this.#parts.clock.every(POLL_MS, () => void this.#poll());
    void this.#poll();
  }

  async #poll(): Promise<void> {
    if (this.#isPolling || this.#isClosed) return;
    this.#isPolling = true;
    try {
      await this.#hearOthers();
    } catch {
      // The store says itself that it is away; what is known serves on.
    }
    this.#isPolling = false;
    this.#publish();
    if (!this.#isInstalled) void this.#install();
    for (const certificate of this.#managed.values()) void certificate.tick();
  }

  async #hearOthers(): Promise<void> {
    const fleet = this.#fleet;
    if (fleet?.isUp !== true) return;
    const version = await fleet.version();
    if (version === this.#version) return;
    this.#others = (await fleet.challenges()).flatMap(readChallenges);
    // Whoever asks soon must be answered before certificates are looked at.
    this.#publish();
    await Promise.all([...this.#managed.values()].map((certificate) => certificate.load()));
    this.#version = version;
  }

  /** Resolves when every gateway gives these answers. */
  async #show(name: string, answers: ReadonlyMap<string, string>): Promise<void> {
    const { clock } = this.#parts;
    if (answers.size === 0) this.#own.delete(name);
    else this.#own.set(name, answers);
    this.#publish();
    await this.#fleet?.writeChallenges(name, writeChallenges(answers, clock.wall()));
    if (answers.size === 0) return;
    await pause(clock, this.#fleet ? HEARD_MS.fleet : HEARD_MS.alone, this.#ending.signal);
  }

  #publish(): void {
    const now = this.#parts.clock.wall();
    const others = this.#others.filter((challenges) => isLive(challenges, now)).map(({ answers }) => answers);
    const pending = new Map([...others, ...this.#own.values()].flatMap((answers) => [...answers]));
    if (isSame(pending, this.#pending)) return;
    this.#pending = pending;
    this.#parts.publish(pending);
  }

  async #install(): Promise<void> {
    this.#isInstalled = true;
    if (!this.#isRunning || this.#isClosed) return;
    try {
      await this.#parts.install();
    } catch (error) {
      this.#isInstalled = false;
      const reason = (error as Error).message;
      this.#parts.log.error({ event: 'acme_install_failed', reason }, `a new certificate is not shown yet: ${reason}`);
    }
  }

  async #openFleet(): Promise<void> {
    const { clock, random, log, store } = this.#parts;
    if (store === undefined || this.#fleet !== undefined) return;
    const { RedisAcme } = await import('../../store/redis-acme.ts');
    this.#fleet = await RedisAcme.open(store, {
      clock,
      random,
      onChange: (isUp, reason) => {
        if (isUp) log.info({ event: 'acme_store_up' }, 'the store of certificates is there');
        else log.warn({ event: 'acme_store_away', reason }, 'the store of certificates is away: none is ordered');
      },
    });
    if (this.#isClosed) await this.#fleet.close();
  }
}

function wantedBy({ gateway }: Config): Map<string, AcmeConfig> {
  return new Map(gateway.listen.flatMap(({ tls }) => (tls?.acme ? [[certificateName(tls.acme), tls.acme]] : [])));
}

function isSame(one: ReadonlyMap<string, string>, other: ReadonlyMap<string, string>): boolean {
  return one.size === other.size && [...one].every(([token, answer]) => other.get(token) === answer);
}
