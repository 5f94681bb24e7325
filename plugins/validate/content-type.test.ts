import { describe, expect, it } from 'vitest';
import { isJson, isWithin, parseMediaType } from './content-type.ts';

describe('a Content-Type', () => {
  it.each([
    ['application/json', 'application/json', undefined],
    ['Application/JSON', 'application/json', undefined],
    ['application/json;charset=UTF-8', 'application/json', 'utf-8'],
    ['application/json \t; charset="utf-8"', 'application/json', 'utf-8'],
    ['application/json;', 'application/json', undefined],
    ['application/merge-patch+json; v=1; a="x\\"y;"', 'application/merge-patch+json', undefined],
  ])('is read: %j', (field, essence, charset) => {
    expect(parseMediaType(field)).toEqual({ essence, charset });
  });

  it.each([
    '',
    'json',
    'application/',
    'application/json garbage',
    'application/json;x',
    'application/json; x =1',
    'application/json, text/plain',
    'application/json\tx',
    '\tapplication/json',
    ' application/json',
    'application/json; charset=utf-8; charset=utf-16',
    'application/json; charset="utf-8',
    'application /json',
    'application/json;charset=',
  ])('that is not exactly one media type is none: %j', (field) => {
    expect(parseMediaType(field)).toBeUndefined();
  });

  it('may lie within a range', () => {
    expect(isWithin('application/json', 'application/*')).toBe(true);
    expect(isWithin('application/json', '*/*')).toBe(true);
    expect(isWithin('applications/json', 'application/*')).toBe(false);
    expect([isJson('application/problem+json'), isJson('application/jsonp')]).toEqual([true, false]);
  });
});
