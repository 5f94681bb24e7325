/** Client certificates, from the handshake or from a trusted proxy that had the handshake. */
import type { CertificateConfig } from '../../../src/config/schema.ts';
import type { ClientCertificate } from '../../../src/data/client-certificate.ts';
import type { ConsumerDirectory } from '../../../src/data/consumers.ts';
import type { Exchange } from '../../../src/data/exchange.ts';
import { forwardedCertificate } from '../../../src/data/forwarded-certificate.ts';
import type { Principal } from '../../../src/data/principal.ts';
import { defineMethod, type Authenticator } from '../method.ts';
import { Refusal } from '../refusal.ts';
import type { MtlsOptions } from './schema.ts';

export default defineMethod<MtlsOptions>({
  name: 'mtls',
  checkGateway({ forwarded }, gateway) {
    const asks = gateway.listen.some(({ tls }) => tls !== undefined && tls.clientAuth !== 'none');
    if (forwarded !== false && gateway.trustedProxies.length === 0) {
      return [{ path: ['forwarded'], message: 'believes nobody: name trustedProxies in gateway.yaml' }];
    }
    if (asks || forwarded !== false) return [];
    const advice = 'set tls.clientAuth, or forwarded behind a proxy that has the handshake';
    return [{ path: [], message: `no listener asks for certificates: ${advice}` }];
  },
  create: (options, { consumers }) => new ClientCertificates(options, consumers),
});

interface Known {
  readonly outcome: Principal | Refusal;
  readonly version: number;
}

class ClientCertificates implements Authenticator {
  readonly name = 'mtls';
  /** No scheme of HTTP asks for a certificate: TLS does. */
  readonly challenge = undefined;
  readonly #options: MtlsOptions;
  readonly #consumers: ConsumerDirectory;
  /** A connection shows one certificate for all its requests. */
  readonly #known = new WeakMap<ClientCertificate, Known>();

  constructor(options: MtlsOptions, consumers: ConsumerDirectory) {
    this.#options = options;
    this.#consumers = consumers;
  }

  carries({ client, head }: Exchange): boolean {
    if (!this.#isForwarding(client)) return client.certificate !== undefined;
    return (this.#options.forwarded === 'client-cert' ? head.clientCert : head.xfcc) !== undefined;
  }

  authenticate({ client, head }: Exchange): Principal | Refusal {
    let certificate = client.certificate;
    if (this.#isForwarding(client)) {
      try {
        // A proxy that writes one of the fields may pass on the other from anybody.
        const { clientCert, xfcc } = head;
        certificate = forwardedCertificate(this.#options.forwarded === 'client-cert' ? { clientCert } : { xfcc });
      } catch (error) {
        return new Refusal('invalid', (error as Error).message);
      }
    }
    if (certificate === undefined) return new Refusal('invalid', 'there is no certificate');
    const known = this.#known.get(certificate);
    if (known?.version === this.#consumers.version) return known.outcome;
    const outcome = this.#outcomeOf(certificate);
    this.#known.set(certificate, { outcome, version: this.#consumers.version });
    return outcome;
  }

  /** A trusted proxy's own certificate says who the proxy is, and what it forwards who its client is. */
  #isForwarding({ trusted }: { readonly trusted: boolean }): boolean {
    return this.#options.forwarded !== false && trusted;
  }

  #outcomeOf(certificate: ClientCertificate): Principal | Refusal {
    if (!certificate.verified) return new Refusal('invalid', 'the certificate does not go back to clientCa');
    const consumer = this.#consumers.byCertificate((wanted) => isOf(wanted, certificate));
    if (consumer === undefined && this.#options.unknown === 'refuse') {
      return new Refusal('invalid', `no consumer has the certificate of '${certificate.subject}'`);
    }
    return {
      method: this.name,
      subject: certificate.subject || certificate.fingerprint256,
      consumer,
      groups: consumer?.groups ?? [],
      scopes: [],
      claims: {},
      // Browsers send a certificate without being asked again.
      ambient: true,
    };
  }
}

/** All that is given must hold. */
function isOf({ subject, san, fingerprint }: CertificateConfig, certificate: ClientCertificate): boolean {
  if (subject === undefined && san === undefined && fingerprint === undefined) return false;
  return (
    (subject === undefined || subject === certificate.subject) &&
    (fingerprint === undefined || fingerprint === certificate.fingerprint256) &&
    (san === undefined || certificate.subjectAltNames.some(({ type, value }) => `${type}:${value}` === san))
  );
}
