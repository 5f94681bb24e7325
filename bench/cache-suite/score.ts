/** Counts what a run of http-tests/cache-tests has passed: `node score.ts CHECKOUT RESULTS.json`. See docs/benchmarks.md. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

interface Suite {
  readonly tests: readonly { readonly id: string; readonly kind?: string; readonly browser_only?: boolean }[];
}

const [checkout = '.', resultsFile = 'results.json'] = process.argv.slice(2);
const load = (file: string) => import(pathToFileURL(resolve(checkout, file)).href) as Promise<unknown>;
const { default: suites } = (await load('tests/index.mjs')) as { default: Suite[] };
const { determineTestResult, resultTypes } = (await load('test-engine/lib/results.mjs')) as {
  determineTestResult: (suites: Suite[], id: string, results: unknown) => unknown;
  resultTypes: Readonly<Record<string, unknown>>;
};
const text = readFileSync(resultsFile, 'utf8');
// What npm prints before is no part of it.
const results = JSON.parse(text.slice(text.indexOf('{'))) as unknown;

for (const kind of ['required', 'optimal']) {
  const tests = suites.flatMap((suite) => suite.tests).filter((test) => (test.kind ?? 'required') === kind);
  const counted = tests.filter((test) => test.browser_only !== true);
  const isPassed = ({ id }: { id: string }) => determineTestResult(suites, id, results) === resultTypes['pass'];
  const failed = counted.filter((test) => !isPassed(test)).map(({ id }) => id);
  console.log(`${kind}: ${counted.length - failed.length} of ${counted.length}`);
  console.log(`  not passed: ${failed.join(' ')}`);
}
