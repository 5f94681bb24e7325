import type { FastifyReply } from 'fastify';
import { describe, expect, it } from 'vitest';
import type { Exchange } from '../../src/data/exchange.ts';
import type { PluginContext } from '../../src/extension.ts';
import headers from './index.ts';

/** The request's fields as they leave, and the answer's as the client gets them. */
function pass(options: Parameters<typeof headers.create>[0]) {
  const request = ['host', 'a.test', 'x-internal', '1'];
  const answer = ['server', 'x', 'etag', '"1"'];
  let wentOn = 0;
  let edits = 0;
  const exchange = {
    upstream: { fields: request },
    editResponse: (edit: (fields: string[]) => void) => (edits++, edit(answer)),
  } as unknown as Exchange;
  headers.create(options, {} as PluginContext).onRequest!(exchange, {} as FastifyReply, () => wentOn++);
  return { request, answer, wentOn, edits };
}

describe('the header edits of a route', () => {
  it('change the request and its answer, each by its own rules', () => {
    expect(
      pass({ request: { set: { 'x-env': 'prod' }, remove: ['x-internal'] }, response: { remove: ['server'] } }),
    ).toEqual({
      request: ['host', 'a.test', 'x-env', 'prod'],
      answer: ['etag', '"1"'],
      wentOn: 1,
      edits: 1,
    });
  });

  it('leave the answer alone when there is nothing to edit in it', () => {
    expect(pass({ request: { remove: ['x-internal'] }, response: {} })).toMatchObject({ edits: 0, wentOn: 1 });
  });
});
