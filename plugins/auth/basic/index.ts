/** Names and passwords (HTTP Basic, RFC 7617). The gateway keeps scrypt hashes, and passes no password on. */
import type { Clock } from '../../../src/clock.ts';
import type { PasswordConfig } from '../../../src/config/schema.ts';
import type { ConsumerDirectory, Found } from '../../../src/data/consumers.ts';
import type { Exchange } from '../../../src/data/exchange.ts';
import type { Principal } from '../../../src/data/principal.ts';
import { withholdField } from '../../../src/data/withhold.ts';
import { defineMethod, type Authenticator } from '../method.ts';
import { Refusal } from '../refusal.ts';
import { isBasic, parseBasic } from './credentials.ts';
import { PasswordCheck, type Checked } from './password-check.ts';
import type { BasicOptions } from './schema.ts';

export default defineMethod<BasicOptions>({
  name: 'basic',
  create: (options, { consumers, clock }) => new Basic(options, consumers, clock),
});

const MALFORMED = new Refusal('invalid', 'what was sent is no name and password');
const WRONG = new Refusal('invalid', 'the name or the password is wrong');
const EXPIRED = new Refusal('expired', 'the password has expired');
const BUSY = new Refusal('unavailable', 'too many passwords wait to be checked', { retryAfterSeconds: 1 });

/** One for all routes and generations of this thread. */
const passwords = new PasswordCheck();

class Basic implements Authenticator {
  readonly name = 'basic';
  readonly challenge: string;
  readonly #forward: boolean;
  readonly #consumers: ConsumerDirectory;
  readonly #clock: Clock;

  constructor({ realm, forward }: BasicOptions, consumers: ConsumerDirectory, clock: Clock) {
    this.challenge = `Basic realm="${realm}", charset="UTF-8"`;
    this.#forward = forward;
    this.#consumers = consumers;
    this.#clock = clock;
  }

  carries(exchange: Exchange): boolean {
    const value = exchange.header('authorization');
    return value !== undefined && isBasic(value);
  }

  withhold(exchange: Exchange): void {
    if (!this.#forward && this.carries(exchange)) withholdField(exchange.upstream, 'authorization');
  }

  authenticate(exchange: Exchange, later: (outcome: Principal | Refusal) => void): Principal | Refusal | undefined {
    const sent = parseBasic(exchange.header('authorization')!);
    if (sent === undefined) return MALFORMED;
    const found = this.#consumers.byUsername(sent.username);
    const decide = (checked: Checked) => later(this.#decide(checked, found));
    const checked = passwords.check(sent.password, found?.credential.password, decide);
    return checked === undefined ? undefined : this.#decide(checked, found);
  }

  #decide(checked: Checked, found: Found<PasswordConfig> | undefined): Principal | Refusal {
    if (checked === 'busy') return BUSY;
    if (checked === 'wrong' || found === undefined) return WRONG;
    const { consumer, credential } = found;
    // Only now: whoever has not the password learns nothing of it.
    if (credential.expires !== undefined && credential.expires <= this.#clock.wall()) return EXPIRED;
    return {
      method: this.name,
      subject: credential.username,
      consumer,
      groups: consumer.groups,
      scopes: [],
      claims: {},
      // Browsers send it again with every request, whoever wrote the page.
      ambient: true,
    };
  }
}
