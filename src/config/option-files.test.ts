import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { optionFiles, type AttachedFiles } from './option-files.ts';

let dir: string;
let attached: AttachedFiles;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'aya-files-'));
  attached = new Map();
});

afterEach(() => rm(dir, { recursive: true }));

const read = async (name: string, text: string | Buffer) => {
  await writeFile(join(dir, name), text);
  return optionFiles(dir, attached).data(name);
};

describe('a file that options name', () => {
  it.each([
    ['a.json', '{"type":"object","__proto__":{"x":1}}'],
    ['a.yaml', 'type: object\n"__proto__": { x: 1 }\n'],
  ])('is read by its name: %s', async (name, text) => {
    const data = (await read(name, text)) as object;
    expect(Object.keys(data)).toEqual(['type', '__proto__']);
    expect(Object.getPrototypeOf(data)).toBe(Object.prototype);
  });

  it('is the same object each time, as it was when it was read first', async () => {
    const first = await read('a.json', '{"a":1}');
    expect(await read('a.json', '{"a":2}')).toBe(first);
    attached.clear();
    expect(await read('a.json', '{"a":2}')).toEqual({ a: 2 });
  });

  it.each([
    ['cut.json', '{"a":', /^cut\.json: not valid JSON/],
    ['cut.yaml', 'a: [1', /^cut\.yaml:1:\d+: not valid YAML/],
    ['twice.yaml', 'a: 1\na: 2', /^twice\.yaml:2:1: not valid YAML/],
    ['itself.yaml', '&a\nx: *a', /^itself\.yaml: /],
    ['laughs.yaml', bomb(), /^laughs\.yaml: /],
    ['deep.json', `${'['.repeat(200_000)}${']'.repeat(200_000)}`, /^deep\.json: /],
    ['latin.json', Buffer.from([0x22, 0xe9, 0x22]), /^latin\.json: the file is not UTF-8/],
    ['large.json', `"${'x'.repeat(1024 * 1024)}"`, /^large\.json: the file is larger/],
  ])('that cannot be read is an error that names it: %s', async (name, text, message) => {
    await expect(read(name, text)).rejects.toThrow(message);
    // It is followed all the same: it may become right.
    expect([...attached.keys()]).toEqual([join(dir, name)]);
  });

  it('must be there, be a file, and stay in the directory', async () => {
    await mkdir(join(dir, 'folder'));
    for (const name of ['none.json', 'folder', '../outside.json']) {
      expect(() => optionFiles(dir, attached).data(name)).toThrow(name);
    }
  });
});

function bomb(): string {
  const levels = Array.from(
    { length: 9 },
    (_, at) => `l${at + 1}: &l${at + 1} [${Array(9).fill(`*l${at}`).join(', ')}]`,
  );
  return ['l0: &l0 [x]', ...levels].join('\n');
}
