/**
 * The least that a server on Node can do: `node answer.ts PORT…` answers and asks nobody. On the proxy's processor it is
 * the floor; on the load's, the origin where nginx is not installed.
 */
import { createServer } from 'node:http';
import { ANSWER, SIZES } from '../answer.ts';

const small = Buffer.from(ANSWER);
const bodies = new Map(Object.entries(SIZES).map(([path, bytes]) => [path, Buffer.alloc(bytes, '.')]));

for (const port of process.argv.slice(2)) {
  const server = createServer({ keepAliveTimeout: 600_000 }, (request, response) => {
    const body = bodies.get(request.url ?? '') ?? small;
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length });
    response.end(body);
  });
  server.listen(Number(port), '127.0.0.1');
}
