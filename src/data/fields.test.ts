import { describe, expect, it } from 'vitest';
import type { FieldEditsConfig } from '../config/field-edits-schema.ts';
import { checkFieldEdits, compileFieldEdits } from './fields.ts';

function edit(config: FieldEditsConfig, fields: readonly string[]): string[] {
  const edited = [...fields];
  compileFieldEdits(config)?.(edited);
  return edited;
}

describe('edits of fields', () => {
  it('set replaces the first of a name, in its place and spelling, and drops the others', () => {
    expect(edit({ set: { 'x-a': 'new' } }, ['b', '1', 'X-A', '2', 'c', '3', 'x-a', '4'])).toEqual([
      'b',
      '1',
      'X-A',
      'new',
      'c',
      '3',
    ]);
  });

  it('set appends what is not there', () => {
    expect(edit({ set: { 'X-Env': 'prod' } }, ['host', 'a'])).toEqual(['host', 'a', 'X-Env', 'prod']);
  });

  it('set to nothing is a field without value, not a removal', () => {
    expect(edit({ set: { a: '' } }, ['a', '1'])).toEqual(['a', '']);
  });

  it('add keeps what is there; a list adds each value', () => {
    expect(edit({ add: { 'x-a': ['2', '3'] } }, ['x-a', '1'])).toEqual(['x-a', '1', 'x-a', '2', 'x-a', '3']);
  });

  it('remove takes every one of the name and no other', () => {
    expect(edit({ remove: ['X-Internal'] }, ['x-internal', '1', 'x-interval', '2', 'X-INTERNAL', '3'])).toEqual([
      'x-interval',
      '2',
    ]);
  });

  it('set comes before add', () => {
    expect(edit({ set: { a: '1' }, add: { A: '2' } }, ['a', '0', 'a', '00'])).toEqual(['a', '1', 'A', '2']);
  });

  it('one request leaves nothing behind for the next', () => {
    const run = compileFieldEdits({ set: { a: '1' } })!;
    const first = ['a', '0'];
    const second: string[] = [];
    run(first);
    run(second);
    run(second);
    expect([first, second]).toEqual([
      ['a', '1'],
      ['a', '1'],
    ]);
  });

  it('names that objects inherit are names like others', () => {
    const config = { remove: ['constructor'], set: JSON.parse('{"__proto__": "x"}') as Record<string, string> };
    expect(edit(config, ['constructor', '1', 'toString', '2'])).toEqual(['toString', '2', '__proto__', 'x']);
  });

  it('nothing to edit is no function at all', () => {
    expect(compileFieldEdits(undefined)).toBeUndefined();
    expect(compileFieldEdits({ set: {}, remove: [] })).toBeUndefined();
  });

  // HTTPRouteRequestHeaderModifier of the Gateway API's conformance suite.
  it.each<[string, FieldEditsConfig, string[], string[]]>([
    ['set', { set: { 'X-Header-Set': 'set-overwrites-values' } }, ['Some-Other-Header', 'val'], ['Some-Other-Header', 'val', 'X-Header-Set', 'set-overwrites-values']],
    ['set over', { set: { 'X-Header-Set': 'set-overwrites-values' } }, ['x-header-set', 'some-other-value'], ['x-header-set', 'set-overwrites-values']],
    ['add', { add: { 'X-Header-Add': 'add-appends-values' } }, ['x-header-add', 'some-other-value'], ['x-header-add', 'some-other-value', 'X-Header-Add', 'add-appends-values']],
    ['remove', { remove: ['X-Header-Remove'] }, ['x-header-remove', 'val'], []],
    [
      'all',
      { set: { 'X-Header-Set-1': 'header-set-1' }, add: { 'X-Header-Add-1': 'header-add-1' }, remove: ['X-Header-Remove-1'] },
      ['X-Header-Remove-1', 'val-1', 'X-Header-Set-1', 'some-other-value', 'Another-Header', 'another-header-val'],
      ['X-Header-Set-1', 'header-set-1', 'Another-Header', 'another-header-val', 'X-Header-Add-1', 'header-add-1'],
    ],
  ])('as the Gateway API has it: %s', (_what, config, before, after) => expect(edit(config, before)).toEqual(after)); // prettier-ignore
});

describe('edits that no message may carry out are named', () => {
  it.each([
    ['request', { set: { 'bad name': 'x' } }, ['set', 'bad name'], "'bad name' is not a field name"],
    ['request', { set: { '': 'x' } }, ['set', ''], "'' is not a field name"],
    ['request', { add: { 'Transfer-Encoding': 'x' } }, ['add', 'Transfer-Encoding'], 'is the gateway’s own'],
    ['response', { remove: ['content-length'] }, ['remove', 0], 'is the gateway’s own'],
    ['response', { set: { connection: 'close' } }, ['set', 'connection'], 'is the gateway’s own'],
    ['response', { set: { 'HTTP2-Settings': 'x' } }, ['set', 'HTTP2-Settings'], 'is the gateway’s own'],
    ['request', { set: { Host: 'x' } }, ['set', 'Host'], 'rewrite: { host: … }'],
    ['request', { set: { 'x-aya-consumer': 'me' } }, ['set', 'x-aya-consumer'], 'the gateway itself writes x-aya-*'],
    ['request', { set: { a: 'b\r\nc: d' } }, ['set', 'a'], 'visible ASCII'],
    ['response', { add: { a: ['ok', 'é'] } }, ['add', 'a'], 'visible ASCII'],
    ['request', { set: { a: ' b' } }, ['set', 'a'], 'neither begins nor ends with a space'],
    ['request', { set: { a: '1', A: '2' } }, ['set', 'A'], 'set twice'],
    ['request', { add: { a: '1' }, remove: ['A'] }, ['remove', 0], 'removed and written'],
  ] as const)('%s %j', (side, edits, path, message) => {
    const faults = checkFieldEdits({ [side]: edits } as Parameters<typeof checkFieldEdits>[0]);
    expect(faults.map((fault) => fault.path)).toEqual([[side, ...path]]);
    expect(faults[0]?.message.replaceAll("'", '’')).toContain(message.replaceAll("'", '’'));
  });

  it('sound edits have no fault', () => {
    const config = { request: { set: { 'x-env': 'prod' }, add: { via: '1.1 x' } }, response: { remove: ['server'] } };
    expect(checkFieldEdits(config)).toEqual([]);
  });
});
