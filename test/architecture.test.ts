/** The walls of the architecture, read from the source itself: who may import whom, and where things are said. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { PLUGIN_ORDER, PHASES } from '../src/data/phases.ts';
import { scanPlugins } from '../src/extension.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const MOST_LINES = 400;

interface SourceFile {
  /** From the root of the project. */
  readonly path: string;
  readonly text: string;
  /** Paths, from the root, of the files of the project that it imports; type imports too. */
  readonly imports: readonly string[];
}

const files = ['src', 'plugins', 'test', 'bench', 'scripts'].flatMap(sourcesBelow);
const code = files.filter(({ path }) => /^(src|plugins)\//.test(path) && !path.endsWith('.test.ts'));

/** Each import from one part to another that must not be. */
function crossings(from: RegExp, to: RegExp): string[] {
  return code.flatMap(({ path, imports }) =>
    from.test(path) ? imports.filter((target) => to.test(target)).map((target) => `${path} imports ${target}`) : [],
  );
}

describe('the walls', () => {
  it('stand around something', () => {
    expect(code.length).toBeGreaterThan(30);
    expect(code.flatMap(({ imports }) => imports).length).toBeGreaterThan(60);
  });

  it('no plugin imports another', () => {
    const foreign = code.flatMap(({ path, imports }) => {
      const own = /^plugins\/[^/]+\//.exec(path)?.[0];
      if (own === undefined) return [];
      return imports
        .filter((target) => target.startsWith('plugins/') && !target.startsWith(own))
        .map((target) => `${path} imports ${target}`);
    });
    expect(foreign).toEqual([]);
  });

  it('the core imports no plugin', () => {
    expect(crossings(/^src\//, /^plugins\//)).toEqual([]);
  });

  it('plugins know neither the control plane nor the command', () => {
    expect(crossings(/^plugins\//, /^src\/(control|cli)\//)).toEqual([]);
  });

  it('the data plane does not know the control plane', () => {
    expect(crossings(/^src\/data\//, /^src\/(control|cli)\//)).toEqual([]);
  });

  it('the upstream side and the shared memory know neither plane', () => {
    expect(crossings(/^src\/memory\//, /^src\/(data|control|cli|upstream)\//)).toEqual([]);
    expect(crossings(/^src\/upstream\//, /^src\/(control|cli)\//)).toEqual([]);
    const seams = /^src\/data\/(dispatch|exchange)\.ts$/;
    expect(
      crossings(/^src\/upstream\//, /^src\/data\//).filter((line) => !seams.test(line.split(' imports ')[1]!)),
    ).toEqual([]);
  });

  it('the configuration knows neither the control plane nor the command', () => {
    expect(crossings(/^src\/config\//, /^src\/(control|cli)\//)).toEqual([]);
  });

  it('nothing but its own tests imports a test', () => {
    expect(crossings(/./, /^test\/|\.test\.ts$/)).toEqual([]);
  });
});

describe('a plugin', () => {
  it('is named in the configuration as its folder, and has an index, a test and a README', async () => {
    const plugins = await scanPlugins();
    const folders = readdirSync(resolve(ROOT, 'plugins'), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name)
      .sort();
    expect(plugins.map(({ name }) => name)).toEqual(folders.map(camelCase));
    for (const folder of folders) {
      const contents = readdirSync(resolve(ROOT, 'plugins', folder));
      expect(contents, folder).toEqual(expect.arrayContaining(['index.ts', 'README.md']));
      expect(
        contents.some((file) => file.endsWith('.test.ts')),
        `${folder} has a test`,
      ).toBe(true);
    }
  });

  it('has one place in the order of phases: the one of its own phase', async () => {
    const plugins = await scanPlugins();
    expect([...PLUGIN_ORDER].sort()).toEqual([...new Set(PLUGIN_ORDER)].sort());
    for (const { name, phase } of plugins) {
      const places = PHASES.filter((entry) => (entry.plugins as readonly string[]).includes(name)).map(
        (entry) => entry.phase,
      );
      expect(places, name).toEqual([phase]);
    }
  });
});

describe('a data thread', () => {
  const entries = code
    .map(({ path }) => path)
    .filter((path) => /^src\/data\/worker\.ts$|^plugins\/[^/]+\/index\.ts$|^src\/upstream\/balancers\//.test(path));
  const loaded = loadedWith(entries);

  it('has what it always loads: its own code, all plugins and balancers', () => {
    expect(loaded.files.size).toBeGreaterThan(150);
    expect(loaded.files).toContain('src/data/listener.ts');
    expect(loaded.files).toContain('plugins/auth/jwt/index.ts');
  });

  // Each thread has its own copy. What only some routes use is imported where such a route is compiled.
  it('always loads these packages and no others', () => {
    expect([...loaded.packages].sort()).toEqual(['fastify', 'ipaddr.js', 'pino', 'structured-headers']);
  });

  it('loads no schema: it sees only what was checked', () => {
    expect([...loaded.files].filter((path) => /schema\.ts$/.test(path))).toEqual([]);
  });

  it('has node:http without undici, as the whole process does', () => {
    const importers = code.filter(({ text }) => loadsOf(text).includes('node:http'));
    expect(importers.map(({ path }) => `${path}: import it from src/node-http.ts`)).toEqual([]);
  });
});

describe('the source', () => {
  it('knows the real time and chance in clock.ts alone', () => {
    const real =
      /\bDate\.now\(|\bperformance\.now\(|\bMath\.random\(|\bset(?:Timeout|Interval)\(|\bprocess\.hrtime\b|\bnew Date\(\)|\bsetTimeout\b[^;]*timers\/promises/;
    const offenders = code.filter(({ path, text }) => path !== 'src/clock.ts' && real.test(withoutComments(text)));
    expect(offenders.map(({ path }) => path)).toEqual([]);
  });

  it(`has no file over ${MOST_LINES} lines, tables of test cases aside`, () => {
    const sources = files.filter(({ path }) => !path.endsWith('.test.ts'));
    const long = sources.filter(({ text }) => text.trimEnd().split('\n').length > MOST_LINES);
    expect(long.map(({ path }) => path)).toEqual([]);
  });

  it('has no `any`', () => {
    const any = /(?::|<|as|\|) ?any\b(?! \w)/;
    expect(code.filter(({ text }) => any.test(withoutComments(text))).map(({ path }) => path)).toEqual([]);
  });
});

function sourcesBelow(folder: string): SourceFile[] {
  return readdirSync(resolve(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => {
      const path = resolve(entry.parentPath, entry.name);
      const text = readFileSync(path, 'utf8');
      return { path: relative(ROOT, path), text, imports: importsOf(path, text) };
    });
}

function importsOf(path: string, text: string): string[] {
  const specifiers = [...text.matchAll(/(?:from|import\(|import) ?'(\.[^']+)'/g)].map(([, specifier]) => specifier!);
  return specifiers.map((specifier) => relative(ROOT, resolve(dirname(path), specifier)));
}

/** All that is loaded with these files, before anything runs. */
function loadedWith(entries: readonly string[]): { readonly files: Set<string>; readonly packages: Set<string> } {
  const files = new Set(entries);
  const packages = new Set<string>();
  for (const path of files) {
    for (const specifier of loadsOf(readFileSync(resolve(ROOT, path), 'utf8'))) {
      if (specifier.startsWith('.')) files.add(relative(ROOT, resolve(ROOT, dirname(path), specifier)));
      else if (!specifier.startsWith('node:')) packages.add(specifier);
    }
  }
  return { files, packages };
}

/** What a module imports for more than its types. `import { type A }` loads what it names, too. */
function loadsOf(text: string): string[] {
  const statements = withoutComments(text).matchAll(
    /^(?:import|export)\s(?!type\s)(?:[\w*{][^;'"]*from )?'([^']+)';/gm,
  );
  return [...statements].map(([, specifier]) => specifier!);
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '');
}

function camelCase(folder: string): string {
  return folder.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
}
