/** One request and its session, through all its tries: what it brought, and who has answered it. */
import type { Exchange } from '../../data/exchange.ts';
import type { Endpoint } from '../pool.ts';
import type { Outcome, Session } from './sessions.ts';
import type { Stickiness } from './stickiness.ts';

export class Bond {
  readonly stickiness: Stickiness;
  readonly exchange: Exchange;
  /** What it brought, while that is good. */
  session: Session | undefined;
  /** Of the latest answer. Retries and hedges: whoever answers is stuck to. */
  endpoint: Endpoint | undefined;
  /** What names the session, where it is kept in a table. */
  key: string | undefined;
  /** Other gateways were asked. */
  isAsked = false;
  /** What became of its session at the first pick. */
  outcome: Outcome | undefined;
  /** The answer's head will be written to. */
  isArmed = false;
  /** Another pool has taken the request over. */
  isLet = false;

  constructor(stickiness: Stickiness, exchange: Exchange) {
    this.stickiness = stickiness;
    this.exchange = exchange;
  }

  /** The session as it has to be kept from now on; undefined where what is kept is still good. */
  get due(): Session | undefined {
    return this.isLet ? undefined : this.stickiness.due(this);
  }
}
