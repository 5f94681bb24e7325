/** Sessions stay between browsers and the gateway. */
import { expect, it } from 'vitest';
import type { UpstreamRequest } from '../../src/data/dispatch.ts';
import { RequestView } from '../../src/data/match/request-view.ts';
import { withholdSessions } from './session-cookies.ts';

it('an upstream gets the other cookies only', () => {
  const names = [
    'aya-session',
    'aya-session.1',
    'aya-session.login.abc',
    '__Host-aya-session',
    '__Secure-aya-session.3',
    'shop',
  ];
  const fields = ['Cookie', [...names.map((name) => `${name}=x`), 'aya-sessions=1', 'b=2'].join('; ')];
  const view = new RequestView('GET', 'shop.example.com', '/', '', fields, '127.0.0.1', 'http');
  const upstream = { target: '/', fields: [...fields] } as unknown as UpstreamRequest;
  withholdSessions({ view, upstream }, ['aya-session', 'shop']);
  expect(upstream.fields).toEqual(['Cookie', 'aya-sessions=1; b=2']);
});

it('not even where the cookies come in several fields', () => {
  const fields = ['Cookie', 'a=1', 'cookie', 'aya-session=x; b=2'];
  const view = new RequestView('GET', 'shop.example.com', '/', '', fields, '127.0.0.1', 'http');
  const upstream = { target: '/', fields: [...fields] } as unknown as UpstreamRequest;
  withholdSessions({ view, upstream }, ['aya-session']);
  expect(upstream.fields).toEqual(['Cookie', 'a=1', 'cookie', 'b=2']);
});
