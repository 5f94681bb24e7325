/**
 * Signed requests (RFC 9421): whoever has the key has made this request, of these parts, a moment ago. A body belongs to
 * it by its digest, which is compared with the body itself before anything goes on.
 */
import type { Clock } from '../../../src/clock.ts';
import type { SignatureKeyConfig } from '../../../src/config/schema.ts';
import type { ConsumerDirectory, Found } from '../../../src/data/consumers.ts';
import type { Exchange } from '../../../src/data/exchange.ts';
import type { Principal } from '../../../src/data/principal.ts';
import { readBody } from '../../../src/data/request-body.ts';
import type { Limiter, Limits } from '../../../src/limits/limiter.ts';
import { defineMethod, type Authenticator } from '../method.ts';
import { Refusal } from '../refusal.ts';
import type { MessageSignature } from './message.ts';
import type { SignatureOptions } from './schema.ts';

/** Loads the parser of structured fields, which nothing else in a data thread needs. */
async function loadParts() {
  const [{ signatureBase }, { hasDigest }, { verifierOf }, { readSignatures }] = await Promise.all([
    import('./base.ts'),
    import('./digest.ts'),
    import('./keys.ts'),
    import('./message.ts'),
  ]);
  return { signatureBase, hasDigest, verifierOf, readSignatures };
}

type Parts = Awaited<ReturnType<typeof loadParts>>;

export default defineMethod<SignatureOptions>({
  name: 'signature',
  create: async (options, { consumers, clock, limits }) =>
    new Signatures(options, await loadParts(), consumers, clock, options.nonce ? nonces(options, limits) : undefined),
});

/** A nonce may be taken once while its signature is young enough: a limit of one, over all threads and gateways. */
function nonces({ maxAge, clockTolerance }: SignatureOptions, limits: Limits): Limiter {
  const windowMs = maxAge + 2 * clockTolerance;
  return limits.limiter({
    name: 'auth.signature.nonce',
    max: 1,
    windowMs,
    algorithm: 'gcra',
    burst: 1,
    // Who cannot be sure that it is the first cannot be let in.
    onStoreFailure: 'deny',
  });
}

type Later = (outcome: Principal | Refusal) => void;

class Signatures implements Authenticator {
  readonly name = 'signature';
  readonly challenge: string;
  readonly #options: SignatureOptions;
  readonly #parts: Parts;
  readonly #consumers: ConsumerDirectory;
  readonly #clock: Clock;
  readonly #nonces: Limiter | undefined;

  constructor(
    options: SignatureOptions,
    parts: Parts,
    consumers: ConsumerDirectory,
    clock: Clock,
    nonceLimiter: Limiter | undefined,
  ) {
    this.#options = options;
    this.#parts = parts;
    this.#consumers = consumers;
    this.#clock = clock;
    this.#nonces = nonceLimiter;
    this.challenge = `Signature components="${options.components.join(' ')}"`;
  }

  carries(exchange: Exchange): boolean {
    return exchange.header('signature-input') !== undefined;
  }

  authenticate(exchange: Exchange, later: Later): Principal | Refusal | undefined {
    const signatures = this.#parts.readSignatures(exchange.header('signature-input')!, exchange.header('signature'));
    if (signatures === undefined) return new Refusal('invalid', 'the signature fields cannot be read');
    // Somebody between may have signed too, with a key that is not ours to know.
    for (const message of signatures) {
      const found = this.#consumers.bySignatureKey(message.keyId);
      if (found !== undefined) return this.#judge(message, found, exchange, later);
    }
    return new Refusal('invalid', 'no consumer has this key');
  }

  #judge(
    message: MessageSignature,
    found: Found<SignatureKeyConfig>,
    exchange: Exchange,
    later: Later,
  ): Principal | Refusal | undefined {
    const { consumer, credential } = found;
    const reason = this.#faultOf(message, credential, exchange);
    if (reason !== undefined) return reason;
    const principal: Principal = {
      method: this.name,
      subject: credential.id,
      consumer,
      groups: consumer.groups,
      scopes: [],
      claims: {},
      ambient: false,
    };
    const isCovered = covers(message, 'content-digest');
    // What was signed with a body is not taken without it either.
    if (this.#options.body === 'ignore' || (exchange.upstream.body === null && !isCovered)) {
      return this.#once(message, principal, later);
    }
    if (!isCovered) return new Refusal('invalid', 'the body is not covered (content-digest)');
    readBody(exchange, { bytes: this.#options.maxBody, name: 'auth.signature.maxBody' }, (error, body) => {
      if (error !== undefined) return exchange.fail(error);
      if (!this.#parts.hasDigest(exchange.header('content-digest'), body)) {
        return later(new Refusal('invalid', 'the body has another digest'));
      }
      const outcome = this.#once(message, principal, later);
      if (outcome !== undefined) later(outcome);
    });
    return undefined;
  }

  #faultOf(message: MessageSignature, key: SignatureKeyConfig, exchange: Exchange): Refusal | undefined {
    const { maxAge, clockTolerance, components } = this.#options;
    const now = this.#clock.wall();
    const missing = components.find((component) => !covers(message, component));
    if (missing !== undefined) return new Refusal('invalid', `${missing} is not covered`);
    if (message.algorithm !== undefined && message.algorithm !== key.algorithm) {
      return new Refusal('invalid', 'the algorithm is not that of the key');
    }
    if (key.expires !== undefined && key.expires <= now) return new Refusal('invalid', 'the key has expired');
    const base = this.#parts.signatureBase(exchange, message.covered);
    if (base === undefined) return new Refusal('invalid', 'a covered component is not there, or is not supported');
    if (!this.#verifies(key, base, message.signature)) return new Refusal('invalid', 'the signature is wrong');
    // Only now: what it says of time is believed because it is signed.
    const createdMs = message.created * 1000;
    if (createdMs > now + clockTolerance) return new Refusal('invalid', 'the signature is from the future');
    const isOld = createdMs + maxAge + clockTolerance <= now;
    if (isOld || (message.expires !== undefined && message.expires * 1000 + clockTolerance <= now)) {
      return new Refusal('expired', 'the signature is too old');
    }
    return undefined;
  }

  #verifies(key: SignatureKeyConfig, base: string, signature: Buffer): boolean {
    try {
      return this.#parts.verifierOf(key)(Buffer.from(base, 'latin1'), signature);
    } catch {
      // A key that does not fit, a signature of another length: nobody is let in by an error.
      return false;
    }
  }

  #once(message: MessageSignature, principal: Principal, later: Later): Principal | Refusal | undefined {
    if (this.#nonces === undefined) return principal;
    if (message.nonce === undefined) return new Refusal('invalid', 'the signature has no nonce');
    this.#nonces.take(`${message.keyId}\n${message.nonce}`, 1, ({ allowed }) =>
      later(allowed ? principal : new Refusal('invalid', 'the nonce was taken before')),
    );
    return undefined;
  }
}

function covers({ covered }: MessageSignature, component: string): boolean {
  return covered[0].some(([name, parameters]) => name === component && parameters.size === 0);
}
