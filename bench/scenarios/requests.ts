/** What one request costs each contestant: small answers, then large ones. */
import { LARGE_PATH, MEDIUM_PATH } from '../answer.ts';
import { race, type Result } from '../race.ts';
import { compared, costs, type Bench, type Budget, type Findings, type Scenario } from './scenario.ts';

export const small: Scenario = {
  name: 'small',
  title: 'A 200-byte JSON answer, 64 kept-alive connections, three endpoints',
  run: (bench) => compare(bench, '/', smallBudgets),
};

export const medium: Scenario = {
  name: 'medium',
  title: 'The same with a 64 KiB answer',
  run: (bench) => compare(bench, MEDIUM_PATH, mediumBudgets),
};

export const large: Scenario = {
  name: 'large',
  title: 'The same with a 1 MiB answer',
  run: (bench) => compare(bench, LARGE_PATH, largeBudgets),
};

async function compare(
  bench: Bench,
  path: string,
  budgets: (results: Result[]) => Budget[] = () => [],
): Promise<Findings> {
  const results = await race(
    bench.contestants.map((contestant) => ({ ...contestant, path })),
    bench,
  );
  const floor = results.find(({ name }) => name === 'floor')?.cpuUs.best ?? NaN;
  return {
    ...compared(results, 'to the floor', floor),
    budgets: budgets(results),
    figures: results,
  };
}

function smallBudgets(results: readonly Result[]): Budget[] {
  const cost = costs(results);
  const aya = cost('aya');
  const full = cost('aya-full');
  return [
    { promise: 'bare Aya to the node:http floor', atMost: 3, found: aya / cost('floor') },
    { promise: 'bare Aya to Caddy', atMost: 0.75, found: aya / cost('caddy') },
    { promise: 'full Aya to bare Aya', atMost: 1.5, found: full / aya },
    { promise: 'full Aya to bare Caddy', atMost: 1, found: full / cost('caddy') },
  ];
}

function mediumBudgets(results: readonly Result[]): Budget[] {
  const cost = costs(results);
  return [{ promise: 'a 64 KiB answer to nginx', atMost: 2, found: cost('aya') / cost('nginx') }];
}

function largeBudgets(results: readonly Result[]): Budget[] {
  const cost = costs(results);
  return [{ promise: 'a 1 MiB answer to HAProxy', atMost: 2.5, found: cost('aya') / cost('haproxy') }];
}
