/** What a healthy answer looks like, whatever protocol it came in. */
import type { Readable } from 'node:stream';
import type { ActiveHealthConfig } from '../../../config/schema.ts';
import { compileRegex } from '../../../data/match/regex.ts';
import type { CheckResult } from '../checker.ts';

const MAX_BODY_BYTES = 64 * 1024;

export class Expectation {
  readonly #status: ActiveHealthConfig['expect']['status'];
  readonly #bodyTest: ((body: string) => boolean) | undefined;

  constructor({ status, body }: ActiveHealthConfig['expect']) {
    this.#status = status;
    this.#bodyTest = body === undefined ? undefined : bodyTest(body);
  }

  /** Leaves nothing of the body: what is not wanted is destroyed. */
  async judge(status: number, body: Readable): Promise<CheckResult> {
    const reason = `status ${status}`;
    const expected = this.#status.some(([first, last]) => status >= first && status <= last);
    if (!expected || this.#bodyTest === undefined) {
      body.on('error', () => {}).destroy();
      return { ok: expected, reason };
    }
    return this.#bodyTest(await readStart(body))
      ? { ok: true, reason }
      : { ok: false, reason: `${reason}, unexpected body` };
  }
}

function bodyTest(expected: string | { regex: string }): (body: string) => boolean {
  if (typeof expected === 'string') return (body) => body.includes(expected);
  const pattern = compileRegex(expected.regex);
  return (body) => pattern.matcher(body).find();
}

/** The first 64 KiB, as text. Leaving the loop destroys the rest. */
async function readStart(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    length += chunk.length;
    if (length >= MAX_BODY_BYTES) break;
  }
  return Buffer.concat(chunks).subarray(0, MAX_BODY_BYTES).toString();
}
