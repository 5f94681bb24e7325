import type { IncomingMessage } from 'node:http';
import { describe, expect, it } from 'vitest';
import type { ListenerLimitsConfig } from '../config/schema.ts';
import { GatewayError } from '../errors.ts';
import { HeadReader } from './head.ts';

const LIMITS = { fields: 20, target: 100, underscores: 'drop' } as ListenerLimitsConfig;

/** A head as Node's parser leaves it. */
function head(rawHeaders: string[], { httpVersion = '1.1', url = '/', limits = LIMITS, trusted = false } = {}) {
  return new HeadReader(limits, 'x-request-id').read({ rawHeaders, httpVersion, url } as IncomingMessage, trusted);
}

function statusOf(read: () => unknown): number {
  try {
    read();
  } catch (error) {
    if (error instanceof GatewayError) return error.status;
    throw error;
  }
  return 0;
}

describe('the head of a request', () => {
  it('passes on what is the upstream’s, in order and spelling, with the first pair free for host', () => {
    const { fields } = head(['Host', 'a', 'X-One', '1', 'accept', 'b', 'x-one', '2']);
    expect(fields).toEqual(['host', '', 'X-One', '1', 'accept', 'b', 'x-one', '2']);
  });

  it('keeps what belongs to the connection, and what Connection names', () => {
    const { fields } = head([
      ...[
        'Host',
        'a',
        'Connection',
        'close, X-Hop , x-forwarded-for',
        'Keep-Alive',
        '5',
        'TE',
        'trailers',
        'Upgrade',
        'h2c',
      ],
      ...['HTTP2-Settings', 'x', 'Expect', '100-continue', 'X-Hop', '1', 'X-Stays', '2'],
    ]);
    expect(fields).toEqual(['host', '', 'X-Stays', '2']);
  });

  it('lets nobody speak in the gateway’s name', () => {
    const { fields } = head([
      'Host',
      'a',
      'X-Aya-Consumer',
      'root',
      'X_Forwarded_For',
      '1.1.1.1',
      'X-Real-IP',
      '1.1.1.1',
    ]);
    expect(fields).toEqual(['host', '']);
  });

  it.each([
    ['drop', 0, ['host', '']],
    ['allow', 0, ['host', '', 'a_b', '1']],
  ] as const)('with underscores: %s', (underscores, _status, expected) => {
    expect(head(['Host', 'a', 'a_b', '1'], { limits: { ...LIMITS, underscores } }).fields).toEqual(expected);
  });

  it.each([
    ['two Hosts', ['Host', 'a', 'host', 'a'], {}, 400],
    ['no Host', [], {}, 400],
    ['an unknown transfer coding', ['Host', 'a', 'Transfer-Encoding', 'gzip, chunked'], {}, 400],
    ['two transfer codings', ['Host', 'a', 'Transfer-Encoding', 'chunked', 'Transfer-Encoding', 'chunked'], {}, 400],
    ['chunks in HTTP/1.0', ['Transfer-Encoding', 'chunked'], { httpVersion: '1.0' }, 400],
    ['both framings', ['Host', 'a', 'Transfer-Encoding', 'chunked', 'Content-Length', '3'], {}, 400],
    ['a field too many', Array.from({ length: 42 }, (_, at) => (at % 2 ? '1' : `x${at}`)), {}, 431],
    ['a target too long', ['Host', 'a'], { url: `/${'a'.repeat(100)}` }, 414],
    [
      'an underscore where they are refused',
      ['Host', 'a', 'a_b', '1'],
      { limits: { ...LIMITS, underscores: 'refuse' as const } },
      400,
    ],
  ])('with %s is refused', (_what, raw, options, status) => {
    expect(statusOf(() => head(raw, options))).toBe(status);
  });

  it('hides from conditions what does not go on, and only then is not what came', () => {
    const honest = ['Host', 'a', 'X-One', '1', 'Connection', 'close'];
    expect(head(honest).visible).toBe(honest);
    const raw = [
      'Host',
      'a',
      'X-Aya-Consumer',
      'root',
      'X-Forwarded-Proto',
      'https',
      'X-One',
      '1',
      'X-Forwarded-User',
      'b',
    ];
    expect(head(raw).visible).toEqual(['Host', 'a', 'X-One', '1']);
    const believed = ['Host', 'a', 'X-Forwarded-Proto', 'https', 'X-One', '1', 'X-Forwarded-User', 'b'];
    expect(head(raw, { trusted: true }).visible).toEqual(believed);
    expect(head(['Host', 'a', 'X-One', '1', 'Connection', 'x-one']).visible).toEqual([
      'Host',
      'a',
      'Connection',
      'x-one',
    ]);
  });

  it('reads names right also when more were sent than are remembered', () => {
    const reader = new HeadReader({ ...LIMITS, fields: 10_000 }, 'x-request-id');
    const read = (rawHeaders: string[]) =>
      reader.read({ rawHeaders, httpVersion: '1.1', url: '/' } as IncomingMessage, false).fields;
    const junk = Array.from({ length: 5_000 }, (_, at) => [`x-junk-${at}`, '1']).flat();
    expect(read(['Host', 'a', ...junk])).toHaveLength(2 + junk.length);
    expect(read(['Host', 'a', 'X-Aya-Consumer', 'root', 'X-One', '1'])).toEqual(['host', '', 'X-One', '1']);
  });

  it('of HTTP/1.0 needs no Host', () => {
    expect(head([], { httpVersion: '1.0' }).host).toBeUndefined();
  });
});

describe('a client certificate that a proxy has seen', () => {
  const FIELDS = ['Host', 'a', 'Client-Cert', ':AA==:', 'X-Forwarded-Client-Cert', 'Hash=1', 'client_cert', ':BB==:'];

  it.each([true, false])(
    'is kept for who asks whether the peer is trusted (%s), and passed on to nobody',
    (trusted) => {
      const read = head([...FIELDS, 'X-Forwarded-Client-Cert', 'Hash=2', 'Client-Cert-Chain', ':CC==:'], { trusted });
      expect(read).toMatchObject({ clientCert: ':AA==:', xfcc: 'Hash=1, Hash=2' });
      const names = read.fields.filter((_, at) => at % 2 === 0).map((name) => name.toLowerCase());
      expect(names).not.toContain('client-cert');
      expect(names).not.toContain('client_cert');
      expect(names).not.toContain('x-forwarded-client-cert');
    },
  );

  it('twice is no certificate that anybody could read', () => {
    expect(head([...FIELDS, 'client-cert', ':DD==:']).clientCert).toBe(':AA==:, :DD==:');
  });
});
