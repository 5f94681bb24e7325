/** What a client of HTTP/2 sees when an upstream says something wrong, or what only HTTP/1.1 can say. */
import { beforeAll, describe, expect, it } from 'vitest';
import { FAULTS, startFaultyUpstream, type FaultName } from '../support/faulty-upstream.ts';
import { gatewayFixture } from '../support/gateway.ts';
import { Http2Client, type Http2Answer } from '../support/http2-client.ts';

let client: Http2Client;

beforeAll(async () => {
  const upstream = await startFaultyUpstream();
  const gateway = await gatewayFixture({
    files: {
      'faults.yaml': {
        pools: { faulty: { endpoints: [upstream.url], health: { passive: false } } },
        routes: [
          { name: 'faults', pool: 'faulty', retry: false, timeout: { head: '300ms', idle: '300ms', total: '600ms' } },
        ],
      },
    },
  });
  client = await Http2Client.connect(gateway.url);
});

/** What must not be told otherwise than as it was said; everything else of the faults is an error, or broken. */
const GOOD: readonly FaultName[] = [
  'body-on-head',
  'early-hints',
  'early-prototype',
  'extra-bytes',
  'hop-by-hop',
  'http-1.0',
  'http2-settings',
  'injecting-location',
  'length-on-interim',
  'named-length',
  'one-byte-chunks',
  'trailers',
  'unasked-continue',
  'until-close',
  'body-on-204',
  'answer-on-204',
  'answer-on-304',
  'no-content',
  'not-modified',
];

/** RFC 9113 §8.1: whole, an error of the gateway's own, or reset. */
function kindOf({ status, code, headers }: Http2Answer): 'whole' | 'problem' | 'broken' {
  if (code !== 0) return 'broken';
  return status >= 500 && headers['proxy-status'] !== undefined ? 'problem' : 'whole';
}

describe('an answer that is', () => {
  it.each(Object.keys(FAULTS) as FaultName[])(
    '%s is whole or seen not to be, and the connection goes on',
    async (fault) => {
      const kind = kindOf(await client.ask(`/${fault}`));
      if (GOOD.includes(fault)) expect(kind).toBe('whole');
      else expect(kind).not.toBe('whole');
      expect(client.isClosed).toBe(false);
    },
  );
});

it('a field of another connection, which HTTP/2 forbids, goes no further: neither in the head nor before nor behind it', async () => {
  const { status, headers, interim, body, trailers } = await client.ask('/http2-settings');
  expect([interim, status, body.toString()]).toEqual([[103], 200, 'ok']);
  expect(headers).not.toHaveProperty('http2-settings');
  expect(trailers?.['x-checksum']).toBe('42');
  expect(trailers).not.toHaveProperty('http2-settings');
});
