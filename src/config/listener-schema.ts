/** The language of listeners: where clients connect, what they may do, who they prove to be. See schema.ts. */
import Type, { type StaticDecode } from 'typebox';
import { AcmeSchema, type AcmeConfig } from './acme-schema.ts';
import { object, Port, settings, Text } from './shapes.ts';
import { Duration, Size } from './units.ts';

export const ListenerLimitsSchema = settings(
  {
    headers: Size('Largest header block (431).', '16KiB'),
    fields: Type.Integer({ minimum: 1, default: 100, description: 'Most header fields (431).' }),
    target: Size('Longest request target (414).', '8KiB'),
    headersTimeout: Duration(
      'Until a request’s head is there (408); a TLS handshake and a PROXY protocol header may each take as long.',
      '10s',
    ),
    requestTimeout: Duration('Until a request’s body is there (408).', '60s'),
    minRate: Size('Slowest body accepted, per second, after its first ten seconds (408).', '512B'),
    keepAlive: Duration('An idle client connection is closed after this; keep it above the balancer’s own.', '65s'),
    maxConnectionAge: Duration(
      'A client connection this old, ±10 %, ends with its next answer, or while it is idle, so that clients come back through the balancer and load spreads over gateways; 0s = no limit.',
      '1h',
    ),
    maxRequestsPerConnection: Type.Integer({
      minimum: 0,
      default: 0,
      description: 'A client connection ends with the answer to its request of this number; 0 = no limit.',
    }),
    connections: Type.Integer({
      minimum: 1,
      default: 10_000,
      description:
        'Client connections, over all threads; fewer where the process may not open that many files (90 % of its limit).',
    }),
    connectionsPerClient: Type.Integer({
      minimum: 1,
      default: 200,
      description: 'Client connections from one address, of IPv6 from one /64 (trusted proxies are exempt).',
    }),
    underscores: Type.Enum(['drop', 'refuse', 'allow'], {
      default: 'drop',
      description: 'Header names with an underscore: a service that maps - to _ would confuse them with others.',
    }),
  },
  'What a client may do.',
);

const CertificateSchema = object({
  cert: Text('File with the certificate (PEM), its chain behind it.'),
  key: Text('File with its private key (PEM).'),
  ocsp: Type.Optional(
    Text(
      'File with an OCSP response about it (DER), which is stapled to handshakes until it is stale. A reload reads it anew.',
    ),
  ),
});

const ListenerTlsSchema = object(
  {
    cert: Type.Optional(CertificateSchema.properties.cert),
    key: Type.Optional(CertificateSchema.properties.key),
    ocsp: CertificateSchema.properties.ocsp,
    certificates: Type.Optional(
      Type.Array(CertificateSchema, {
        minItems: 1,
        description:
          'Several certificates, instead of cert and key: the one that names the host which the client asks for (SNI) is shown, else the first.',
      }),
    ),
    acme: Type.Optional(AcmeSchema),
    clientCa: Type.Optional(Text('File with the PEM certificates that client certificates must go back to.')),
    clientAuth: Type.Optional(
      Type.Enum(['none', 'optional', 'require'], {
        description:
          'Whether clients are asked for a certificate. require: without one that clientCa has signed there is no connection. optional: routes decide. Default: require where there is a clientCa, else none.',
      }),
    ),
    minVersion: Type.Enum(['1.2', '1.3'], { default: '1.2', description: 'Oldest version of TLS that is spoken.' }),
  },
  'HTTPS instead of HTTP. The files are relative to the directory of gateway.yaml; a reload reads them anew.',
);

const ProxyProtocolSchema = object(
  {
    from: Type.Array(Text('A network, such as 10.0.0.0/8.'), {
      minItems: 1,
      description: 'Balancers that send it. Nobody else can connect.',
    }),
  },
  'Each connection begins with a PROXY protocol header, version 1 or 2, which names the client.',
);

const Http2Schema = settings(
  {
    maxStreams: Type.Integer({
      minimum: 1,
      maximum: 10_000,
      default: 100,
      description:
        'Requests under way on one connection. The client is told; one that sends more all the same is refused, or loses its connection.',
    }),
    streamWindow: Size('Bytes of one request’s body that a client may send ahead of what is read.', '64KiB'),
    connectionWindow: Size('The same over all requests of a connection.', '1MiB'),
    maxResets: Type.Integer({
      minimum: 1,
      default: 100,
      description:
        'Requests that a client may reset, or have reset by sending nonsense, within 30 seconds; beyond that, and if they are half of all, the connection ends (ENHANCE_YOUR_CALM).',
    }),
  },
  'HTTP/2, agreed on in the TLS handshake (ALPN); without TLS, spoken by clients that begin with it. false: HTTP/1.1 only.',
);

export const ListenerSchema = object({
  host: Type.String({ default: '0.0.0.0', description: 'Address to listen on.' }),
  port: Port('Port to listen on; 0 takes a free one.'),
  tls: Type.Optional(ListenerTlsSchema),
  proxyProtocol: Type.Optional(ProxyProtocolSchema),
  http2: Type.Union([Http2Schema, Type.Literal(false)], {
    default: {},
    description: 'HTTP/2 beside HTTP/1.1; false: HTTP/1.1 only.',
  }),
  limits: ListenerLimitsSchema,
});

export type ListenerLimitsConfig = StaticDecode<typeof ListenerLimitsSchema>;
export type Http2Config = StaticDecode<typeof Http2Schema>;
export type ProxyProtocolConfig = StaticDecode<typeof ProxyProtocolSchema>;
/** As it is written. */
export type WrittenListenerTls = StaticDecode<typeof ListenerTlsSchema>;

export interface CertificateFiles {
  cert: string;
  key: string;
  ocsp?: string;
}
/** File names are absolute. */
export interface ListenerTlsConfig {
  /** The first is shown to whoever asks for no name, or for one that none has. Behind them that of `acme`. */
  certificates: CertificateFiles[];
  acme?: AcmeConfig;
  clientCa?: string;
  clientAuth: 'none' | 'optional' | 'require';
  minVersion: '1.2' | '1.3';
}
export interface ListenerConfig {
  host: string;
  port: number;
  tls?: ListenerTlsConfig;
  /** Of what the files under `tls` hold: a renewed certificate is a change, though no name has changed. */
  tlsDigest?: string;
  proxyProtocol?: ProxyProtocolConfig;
  http2: Http2Config | false;
  limits: ListenerLimitsConfig;
}
