/** One order, from the names to the certificate (RFC 8555 §7.4): each name is proven over HTTP-01. */
import { createPrivateKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Clock } from '../../clock.ts';
import type { AcmeConfig } from '../../config/acme-schema.ts';
import { certificateRequest, newKey } from './certificate-request.ts';
import { isToken } from './challenges.ts';
import { readIssued, type Issued } from './issued.ts';
import { pause } from '../../pause.ts';
import { AcmeSession, asProblem, jsonOf, secondsOf } from './session.ts';
import { Transport, type Reply } from './transport.ts';

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 15_000;

export interface OrderParts {
  readonly config: AcmeConfig;
  /** PEM. */
  readonly accountKey: string;
  readonly clock: Clock;
  /** Ends everything that is under way. */
  readonly signal: AbortSignal;
  /** Resolves when every gateway gives these answers, by token. */
  readonly show: (answers: ReadonlyMap<string, string>) => Promise<void>;
}

/** @throws Error with a sentence about what is wrong; AcmeProblem when the authority said it. */
export async function runOrder(parts: OrderParts): Promise<Issued> {
  const { config, accountKey, signal } = parts;
  const ca = config.ca === undefined ? undefined : await readFile(config.ca, 'utf8');
  const transport = new Transport(ca, signal);
  try {
    const session = await AcmeSession.open(transport, createPrivateKey(accountKey), config);
    return await new Order(session, parts).run();
  } finally {
    transport.close();
  }
}

interface Challenge {
  readonly domain: string;
  readonly url: string;
  readonly authorization: string;
  readonly token: string;
}

type State = Readonly<Record<string, unknown>>;

class Order {
  readonly #session: AcmeSession;
  readonly #parts: OrderParts;

  constructor(session: AcmeSession, parts: OrderParts) {
    this.#session = session;
    this.#parts = parts;
  }

  async run(): Promise<Issued> {
    const { domains, keyType } = this.#parts.config;
    const identifiers = domains.map((value) => ({ type: 'dns', value }));
    const placed = await this.#session.ask(this.#session.newOrder, { identifiers });
    const url = placed.headers.location;
    const order = jsonOf(placed);
    if (url === undefined || !Array.isArray(order.authorizations)) throw new Error('the authority gave no order');
    await this.#prove(order.authorizations.map(String));

    const key = await newKey(keyType);
    const csr = (await certificateRequest(domains, key, keyType)).toString('base64url');
    const ready = await this.#settled(url, ['pending'], 'the order');
    if (ready.status === 'ready') await this.#session.ask(String(ready.finalize), { csr });
    const { certificate } = await this.#settled(url, ['pending', 'ready', 'processing'], 'the order');
    const chain = await this.#session.ask(String(certificate), undefined, 'application/pem-certificate-chain');
    return readIssued({ chain: chain.body, key: key.export({ type: 'pkcs8', format: 'pem' }) as string }, domains);
  }

  async #prove(authorizations: readonly string[]): Promise<void> {
    const challenges: Challenge[] = [];
    for (const url of authorizations) {
      const challenge = await this.#challengeOf(url);
      if (challenge !== undefined) challenges.push(challenge);
    }
    if (challenges.length === 0) return;
    const answers = new Map<string, string>();
    for (const { token } of challenges) answers.set(token, await this.#session.keyAuthorization(token));
    try {
      await this.#parts.show(answers);
      for (const { url } of challenges) await this.#session.ask(url, {});
      for (const { authorization, domain } of challenges) await this.#settled(authorization, ['pending'], domain);
    } finally {
      await this.#parts.show(new Map()).catch(() => {});
    }
  }

  /** @returns undefined when the name is proven already (RFC 8555 §7.1.4). */
  async #challengeOf(authorization: string): Promise<Challenge | undefined> {
    const state = jsonOf(await this.#session.ask(authorization));
    if (state.status === 'valid') return undefined;
    const { identifier, challenges } = state as { identifier?: State; challenges?: unknown };
    const domain = String(identifier?.value);
    const offered = (Array.isArray(challenges) ? challenges : []) as readonly State[];
    const challenge = offered.find(({ type }) => type === 'http-01');
    if (challenge === undefined) throw new Error(`${domain}: the authority does not offer HTTP-01`);
    const { token, url } = challenge;
    if (!isToken(token)) throw new Error(`${domain}: the authority sent no proper token`);
    return { domain, authorization, token, url: String(url) };
  }

  /** Asks until it is none of these states. @param what it is about. @throws when it has failed. */
  async #settled(url: string, passing: readonly string[], what: string): Promise<State> {
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
      const reply = await this.#session.ask(url);
      const state = jsonOf(reply);
      const status = String(state.status);
      if (['valid', 'ready'].includes(status) && !passing.includes(status)) return state;
      if (!passing.includes(status)) throw failureOf(state, what, status);
      await pause(this.#parts.clock, Math.max(pauseMs, askedPauseMs(reply)), this.#parts.signal);
    }
  }
}

const askedPauseMs = (reply: Reply) => Math.min(secondsOf(reply) * 1000, LONGEST_PAUSE_MS);

/** The authority's own word, wherever it stands: in the order, or in the challenge that has failed. */
function failureOf(state: State, what: string, status: string): Error {
  const challenges = (Array.isArray(state.challenges) ? state.challenges : []) as readonly State[];
  const problem = [state.error, ...challenges.map(({ error }) => error)].map((each) => asProblem(each)).find(Boolean);
  if (problem === undefined) return new Error(`${what} is ${status}`);
  problem.message = `${what}: ${problem.message}`;
  return problem;
}
