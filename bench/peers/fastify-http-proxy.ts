/** @fastify/http-proxy as its README has it, over several upstreams (`getUpstream`): `node … PORT UPSTREAM_PORT…` */
import httpProxy from '@fastify/http-proxy';
import fastify from 'fastify';

const [port, ...upstreamPorts] = process.argv.slice(2);
const upstreams = upstreamPorts.map((upstreamPort) => `http://127.0.0.1:${upstreamPort}`);
let next = 0;

const app = fastify();
await app.register(httpProxy, {
  upstream: '',
  replyOptions: {
    getUpstream: () => upstreams[next++ % upstreams.length] ?? '',
    rewriteRequestHeaders: (request, headers) => ({ ...headers, 'x-forwarded-for': request.ip }),
  },
});
await app.listen({ port: Number(port), host: '127.0.0.1' });
