/**
 * The admin server: health, metrics, state, reload, for operators and their tools. It runs in the control plane, so
 * whatever it costs or gets wrong, no client's request waits for it.
 */
import type { AddressInfo } from 'node:net';
import Fastify, { type FastifyError, type FastifyInstance, type FastifyReply } from 'fastify';
import { redact } from '../../config/redact.ts';
import http from '../../node-http.ts';
import type { ControlLog } from '../log.ts';
import type { Scrape } from '../scrape.ts';
import type { AdminView } from '../view.ts';
import { createGuard, isLoopback } from './guard.ts';
import { certificatesPage } from './certificates-page.ts';
import { decisionsPage } from './decisions-page.ts';
import { cacheOrders } from './cache-orders.ts';
import { limitsPage } from './limits-page.ts';
import { poolsPage, readyPage, routesPage, statusPage } from './pages.ts';

export interface AdminOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Required when the host is not loopback. */
  readonly token?: string | undefined;
  /** Hears of bugs: what a client of this server sees of them is a 500. */
  readonly log: ControlLog;
}

export interface AdminServer {
  /** `http://127.0.0.1:9901` */
  readonly address: string;
  readonly port: number;
  /** Ends all connections at once. */
  close(): Promise<void>;
}

/** Nobody sends anything large here. */
const MAX_BODY_BYTES = 64 * 1024;
const MAX_HEADER_BYTES = 16 * 1024;
const MAX_CONNECTIONS = 256;
/** For a request to arrive. Answers have no limit: a reload takes as long as it takes. */
const REQUEST_TIMEOUT_MS = 10_000;
const KEEP_ALIVE_MS = 65_000;

/** @throws when the address is taken, or not loopback and without a token. */
export async function startAdmin(view: AdminView, options: AdminOptions): Promise<AdminServer> {
  const { host, port, token, log } = options;
  if (token === undefined && !isLoopback(host)) {
    throw new Error(`admin.token is required when admin.host (${host}) is not a loopback address`);
  }
  const app = Fastify({
    bodyLimit: MAX_BODY_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    http: { headersTimeout: REQUEST_TIMEOUT_MS, maxHeaderSize: MAX_HEADER_BYTES },
    forceCloseConnections: true,
  });
  app.server.maxConnections = MAX_CONNECTIONS;
  readableAnswers(app, log);
  guarded(app, host, token);
  questions(app, view);
  orders(app, view);
  cacheOrders(app, view);
  decisionsPage(app, view);
  const address = await app.listen({ host, port });
  return { address, port: (app.server.address() as AddressInfo).port, close: () => app.close() };
}

function questions(app: FastifyInstance, view: AdminView): void {
  // Only when first asked for: prom-client takes a while to load, and nobody scrapes a gateway that is not up yet.
  let scrape: Promise<Scrape> | undefined;
  app.get('/livez', () => ({ status: 'alive' }));
  app.get('/readyz', (_, reply) => reply.code(view.status === 'ready' ? 200 : 503).send(readyPage(view)));
  app.get('/metrics', async (_, reply) => {
    scrape ??= import('../scrape.ts').then(({ createScrape }) => createScrape(view));
    const { contentType, render } = await scrape;
    return reply.type(contentType).send(await render());
  });
  app.get('/status', () => statusPage(view));
  app.get('/pools', () => poolsPage(view));
  app.get('/routes', () => routesPage(view));
  app.get('/limits', () => redact(limitsPage(view), view.secrets));
  app.get('/certificates', () => redact(certificatesPage(view), view.secrets));
  app.get('/config', () => redact(view.config, view.secrets));
}

function orders(app: FastifyInstance, view: AdminView): void {
  // Orders carry nothing: a body is read, within the limit, and forgotten.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, _body, done) => done(null));

  app.post('/reload', async (_, reply) => {
    if (view.status !== 'ready')
      return sendProblem(reply, 409, `nothing can be reloaded now: ${readyPage(view).reason}`);
    const result = await view.reload('admin');
    if (result.ok) return result;
    return sendProblem(
      reply,
      422,
      'not everything that the files say serves now; problems names what is wrong',
      result,
    );
  });
}

function guarded(app: FastifyInstance, host: string, token: string | undefined): void {
  const refuse = createGuard(host, token);
  app.addHook('onRequest', (request, reply, done) => {
    const path = request.url.split('?', 1)[0]!;
    const refusal = refuse({ method: request.method, path, headers: request.headers });
    if (refusal === undefined) return done();
    if (refusal.status === 401) reply.header('www-authenticate', 'Bearer realm="aya admin"');
    sendProblem(reply, refusal.status, refusal.detail);
  });
}

function readableAnswers(app: FastifyInstance, log: ControlLog): void {
  app.addHook('onSend', (_request, reply, _payload, done) => {
    reply.header('cache-control', 'no-store').header('x-content-type-options', 'nosniff');
    done();
  });
  app.setReplySerializer((payload) => `${JSON.stringify(payload, null, 2)}\n`);
  app.setNotFoundHandler((request, reply) =>
    sendProblem(
      reply,
      404,
      `nothing answers ${request.method} here; see GET /status, /pools, /routes, /decisions, /certificates, /config, /metrics`,
    ),
  );
  app.setErrorHandler((error: FastifyError, request, reply) => {
    const status = error.statusCode ?? 500;
    if (status < 500) return sendProblem(reply, status, error.message);
    log.error(
      { event: 'admin_error', err: error, method: request.method, url: request.url },
      'the admin server failed',
    );
    return sendProblem(reply, 500, 'the gateway failed to answer this; its log says why');
  });
}

/** RFC 9457. @param members further members of the problem. */
function sendProblem(reply: FastifyReply, status: number, detail: string, members: object = {}): FastifyReply {
  const problem = { type: 'about:blank', title: http.STATUS_CODES[status], status, detail, ...members };
  return reply.code(status).type('application/problem+json').send(problem);
}
