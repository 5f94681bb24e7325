import { describe, expect, it } from 'vitest';
import { config } from '../../test/support/config.ts';
import type { GatewayConfig, ListenerConfig, ListenerTlsConfig } from '../config/schema.ts';
import { keepUntilRestart } from './restart-keys.ts';

const TLS: ListenerTlsConfig = {
  certificates: [{ cert: '/a.pem', key: '/a.key' }],
  clientCa: '/ca.pem',
  clientAuth: 'optional',
  minVersion: '1.2',
};

const listener = (change: Partial<ListenerConfig> = {}, tls: Partial<ListenerTlsConfig> = {}): ListenerConfig => ({
  host: '0.0.0.0',
  port: 8443,
  http2: false,
  limits: {} as never,
  tls: { ...TLS, ...tls },
  tlsDigest: 'one',
  ...change,
});
const gateway = (...listen: ListenerConfig[]): GatewayConfig => ({ ...config([]).gateway, listen });

describe('of a listener, a reload', () => {
  it('takes over its certificates, where they are and what they hold', () => {
    const tls = {
      certificates: [{ cert: '/b.pem', key: '/b.key' }],
      clientCa: '/b-ca.pem',
      minVersion: '1.3',
    } as const;
    const next = gateway(listener({ tlsDigest: 'two' }, { ...tls, certificates: [...tls.certificates] }));
    expect(keepUntilRestart(gateway(listener()), next)).toEqual({ gateway: next, kept: [] });
  });

  it.each<[string, GatewayConfig, string]>([
    ['whom it asks for certificates', gateway(listener({ tlsDigest: 'two' }, { clientAuth: 'require' })), 'two'],
    ['its limits', gateway(listener({ tlsDigest: 'two', limits: { connections: 1 } as never })), 'two'],
    ['its place', gateway(listener({ tlsDigest: 'two', port: 1 })), 'one'],
    ['that there is another', gateway(listener(), listener({ port: 1 })), 'one'],
    ['that it is gone', gateway(), 'one'],
    ['that it has no TLS', gateway({ host: '0.0.0.0', port: 8443, http2: false, limits: {} as never }), 'one'],
  ])('leaves for a restart %s', (_, next, digest) => {
    const before = gateway(listener());
    const { gateway: now, kept } = keepUntilRestart(before, next);
    expect(kept).toEqual(['listen']);
    expect(now.listen).toEqual([{ ...before.listen[0], tlsDigest: digest }]);
  });

  it('never goes on asking for certificates without a CA', () => {
    const { clientCa: _, ...without } = TLS;
    const next = gateway(listener({ tls: { ...without, clientAuth: 'none' }, tlsDigest: 'two' }));
    const { gateway: now, kept } = keepUntilRestart(gateway(listener()), next);
    expect(now.listen[0]).toMatchObject({ tls: TLS, tlsDigest: 'one' });
    expect(kept).toEqual(['listen']);
  });
});
