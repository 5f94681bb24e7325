/**
 * The short form of a record, in the answer to a client that may ask: x-aya-explain, a list of structured fields (RFC 9651)
 * of bounded size. First the route, then a member for each attempt; the whole record is at the admin server, under the id.
 *
 *     x-aya-explain: "orders";id="7f…-1";pool="orders";by=route, "http://10.0.0.11:8080";error="connection_refused";ms=0.4,
 *       "http://10.0.0.12:8080";status=200;ms=2.1;session=new;passed-over="unhealthy 1, tried already 1"
 */
import type { AttemptRecord, PoolStanding } from '../../upstream/attempt-record.ts';
import { reasonsOf } from '../../upstream/reasons.ts';
import { poolCause, poolOf } from './pool-cause.ts';
import type { DecisionRecord } from './record.ts';

/** Asks, in a request; tells, in its answer. */
export const EXPLAIN_FIELD = 'x-aya-explain';

export const MOST_CHARACTERS = 1024;
/** For the member that says how many attempts are left out. */
const RESERVE = 24;

export function addAnswerField(record: DecisionRecord, fields: string[]): void {
  // An upstream has no part in this.
  for (let at = fields.length - 2; at >= 0; at -= 2) {
    if (fields[at]!.toLowerCase() === EXPLAIN_FIELD) fields.splice(at, 2);
  }
  fields.push(EXPLAIN_FIELD, shortForm(record));
}

function shortForm(record: DecisionRecord): string {
  const { attempts, moreAttempts } = record;
  let text = requestMember(record);
  for (const [at, attempt] of attempts.entries()) {
    const member = `, ${attemptMember(attempt)}`;
    if (text.length + member.length > MOST_CHARACTERS - RESERVE) {
      return `${text}, more;attempts=${attempts.length - at + moreAttempts}`;
    }
    text += member;
  }
  return moreAttempts === 0 ? text : `${text}, more;attempts=${moreAttempts}`;
}

function requestMember({ exchange }: DecisionRecord): string {
  const { rule, id, cache } = exchange;
  const pool = poolOf(exchange);
  const where = pool === undefined ? '' : `;pool=${quoted(pool.name)};by=${poolCause(exchange, pool)}`;
  return `${quoted(rule.name)};id=${quoted(id)}${where}${cache === '' ? '' : `;cache=${quoted(cache)}`}`;
}

function attemptMember({ endpoint, standing, session, status, fault, ms }: AttemptRecord): string {
  const said = status === 0 ? '' : `;status=${status}`;
  const failed = fault === '' ? '' : `;error=${quoted(fault)}`;
  const took = ms === undefined ? '' : `;ms=${ms.toFixed(1)}`;
  const held = session === undefined ? '' : `;session=${session.became}`;
  const passed = standing === undefined ? '' : passedOver(standing);
  return `${endpoint === undefined ? 'none' : quoted(endpoint.url)}${said}${failed}${took}${held}${passed}`;
}

/** How many for which reason, each counted under its first. */
function passedOver({ passedOver: endpoints }: PoolStanding): string {
  if (endpoints.length === 0) return '';
  const counts = new Map<string, number>();
  for (const { against } of endpoints) {
    const word = reasonsOf(against)[0]?.[1] ?? NEITHER;
    counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  return `;passed-over=${quoted([...counts].map(([word, count]) => `${word} ${count}`).join(', '))}`;
}

/** It could have been picked: nobody looked at its kind. */
const NEITHER = 'not needed';

/** What a structured field cannot hold (RFC 9651 §3.3.3) is left out. */
function quoted(text: string): string {
  return `"${text.replace(/[^ -~]/g, '').replace(/["\\]/g, '\\$&')}"`;
}
