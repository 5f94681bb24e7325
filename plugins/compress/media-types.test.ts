import { describe, expect, it } from 'vitest';
import { compileTypes } from './media-types.ts';

describe('a type', () => {
  const fits = compileTypes(['text/*', 'application/json', 'application/*+json', 'Image/SVG+xml']);

  it.each([
    ...['text/html', 'text/html; charset=utf-8', 'TEXT/PLAIN', ' text/css ;x', 'application/json'],
    ...['application/json;charset=utf-8', 'application/problem+json', 'image/svg+xml'],
  ])('%s fits', (type) => {
    expect(fits(type)).toBe(true);
    expect(fits(type)).toBe(true);
  });

  it.each([
    ...['', 'text', 'application/jsonp', 'application/xml', 'video/mp4', 'application/problem+xml', 'x/text/html'],
    ...['text/event-stream', 'Text/Event-Stream; charset=utf-8', `application/${'x'.repeat(300)}`],
  ])('%s does not', (type) => {
    expect(fits(type)).toBe(false);
    expect(fits(type)).toBe(false);
  });

  it('of gRPC never does', () => {
    const all = compileTypes(['application/*', 'application/*+proto']);
    for (const type of ['application/grpc', 'application/grpc+proto', 'application/grpc-web+proto; x=1']) {
      expect(all(type)).toBe(false);
    }
    expect(all('application/grpcish')).toBe(true);
  });
});
