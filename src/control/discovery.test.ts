import { expect, test } from 'vitest';
import { config, logEntries, poolConfig } from '../../test/support/config.ts';
import { FakeClock, settle } from '../../test/support/fake-clock.ts';
import { seededRandom } from '../clock.ts';
import type { Config, DiscoverConfig } from '../config/schema.ts';
import type { AnySource, Answer, Instance } from '../discovery/source.ts';
import { Discovery } from './discovery.ts';

const instance = (host: string, more: Partial<Instance> = {}): Instance => ({
  host,
  weight: 1,
  backup: false,
  ...more,
});
const asked = (what: string, more: object = {}): DiscoverConfig => ({
  kind: 'told',
  told: what,
  port: 80,
  max: 3,
  ...more,
});

/** One pool for each, named after its place. */
const configOf = (...discovers: DiscoverConfig[]): Config =>
  config(discovers.map((discover, at) => ({ ...poolConfig([]), name: `pool-${at}`, discover })));

/** Sources that tell what the test does: `tell(name, …)`, to all that watch for it. */
function told() {
  const watching = new Map<string, { tell: (answer: Answer | 'end') => void; signal: AbortSignal }[]>();
  const definition: AnySource = {
    name: 'told',
    about: '',
    settings: {},
    create: ({ told: what }) => ({
      async *watch(signal) {
        const waiting: (Answer | 'end')[] = [];
        let wake = () => {};
        const tell = (answer: Answer | 'end') => {
          waiting.push(answer);
          wake();
        };
        watching.set(String(what), [...(watching.get(String(what)) ?? []), { tell, signal }]);
        while (!signal.aborted) {
          const next = waiting.shift();
          if (next === 'end') return;
          if (next !== undefined) yield next;
          else await new Promise<void>((resolve) => (wake = resolve));
        }
      },
    }),
  };
  return {
    definition,
    watching,
    async tell(what: string, answer: Answer | 'end') {
      for (const { tell } of watching.get(what) ?? []) tell(answer);
      await settle();
    },
  };
}

function following() {
  const clock = new FakeClock();
  const source = told();
  const log = logEntries();
  const installed: string[][] = [];
  let serving = configOf();
  let refusal: Error | undefined;
  const urls = () => discovery.complete(serving).pools.flatMap(({ endpoints }) => endpoints.map(({ url }) => url));
  const discovery: Discovery = new Discovery({
    definitions: new Map([['told', source.definition]]),
    clock,
    random: seededRandom(3),
    log: log.log,
    async install() {
      installed.push(urls());
      if (refusal !== undefined) throw refusal;
    },
  });
  return {
    clock,
    discovery,
    installed,
    urls,
    tell: source.tell,
    watching: source.watching,
    log,
    refuse: (reason: string | undefined) => void (refusal = reason === undefined ? undefined : new Error(reason)),
    /** Serves it, with what the sources tell at once. */
    async serve(next: Config, answers: Readonly<Record<string, Answer>> = {}) {
      const begun = discovery.begin(next);
      for (const [what, answer] of Object.entries(answers)) await source.tell(what, answer);
      await clock.advanceAsync(3_000, 500);
      await begun;
      serving = next;
      discovery.follow(next);
    },
    run: (ms: number) => clock.advanceAsync(ms, 50),
    view: (at = 0) => discovery.viewOf(serving.pools[at]!)!,
  };
}

test('what is told before the start is served from the start, and needs no other plan', async () => {
  const { serve, urls, run, installed, view } = following();
  await serve(configOf(asked('a')), { a: [instance('10.0.0.2'), instance('[::1]', { port: 81, weight: 7 })] });
  expect(urls()).toEqual(['http://10.0.0.2', 'http://[::1]:81']);
  await run(5_000);
  expect(installed).toEqual([]);
  expect(view()).toMatchObject({ source: 'told a', endpoints: 2, failure: undefined });
});

test('a source that does not answer is not waited for longer than three seconds', async () => {
  const { clock, discovery, tell, installed, run } = following();
  let begun = false;
  const next = configOf(asked('a'));
  void discovery.begin(next).then(() => (begun = true));
  await clock.advanceAsync(2_900, 100);
  expect(begun).toBe(false);
  await clock.advanceAsync(200, 100);
  expect(begun).toBe(true);
  await tell('a', [instance('10.0.0.1')]);
  await run(200);
  expect(installed).toHaveLength(1);
});

test('pools that ask the same share the question, whatever their ports', async () => {
  const { serve, watching, urls } = following();
  await serve(configOf(asked('a'), asked('a', { port: 8080 }), asked('b')), { a: [instance('10.0.0.1')] });
  expect([...watching].map(([what, watchers]) => [what, watchers.length])).toEqual([
    ['a', 1],
    ['b', 1],
  ]);
  expect(urls()).toEqual(['http://10.0.0.1', 'http://10.0.0.1:8080']);
});

test('the same set in another order, or told twice, is no change', async () => {
  const { serve, tell, run, installed } = following();
  const [one, two] = [instance('10.0.0.1'), instance('10.0.0.2')];
  await serve(configOf(asked('a')), { a: [one, two] });
  await tell('a', [two, one]);
  await tell('a', [two, one, two]);
  await run(5_000);
  expect(installed).toEqual([]);
  await tell('a', [one, { ...two, weight: 2 }]);
  await run(1_500);
  expect(installed).toHaveLength(1);
});

test('what changes together is one plan, and what never rests is one each second', async () => {
  const { serve, tell, run, installed } = following();
  await serve(configOf(asked('a'), asked('b')), { a: [instance('10.0.0.1')], b: [instance('10.0.1.1')] });
  await tell('a', [instance('10.0.0.2')]);
  await tell('b', [instance('10.0.1.2')]);
  await run(200);
  expect(installed).toEqual([['http://10.0.0.2', 'http://10.0.1.2']]);
  for (let at = 0; at < 100; at++) {
    await tell('a', [instance(`10.0.0.${at % 7}`)]);
    await run(100);
  }
  expect(installed.length).toBeGreaterThan(3);
  expect(installed.length).toBeLessThanOrEqual(12);
});

test('no failure takes away what was found: an error, an empty set, one too large', async () => {
  const { serve, tell, run, urls, view, log, clock } = following();
  await serve(configOf(asked('a')), { a: [instance('10.0.0.1')] });
  const many = Array.from({ length: 4 }, (_, at) => instance(`10.0.0.${at}`));
  for (const [answer, reason] of [
    [new Error('a: no such name'), 'a: no such name'],
    [new Error('a: no such name'), 'a: no such name'],
    [[], 'an empty list'],
    [many, '4 endpoints: at most 3 are taken (discover.max)'],
  ] as const) {
    await tell('a', answer);
    await run(1_500);
    expect(urls()).toEqual(['http://10.0.0.1']);
    expect(view().failure).toBe(reason);
  }
  expect(view()).toMatchObject({ failures: 4, endpoints: 1 });
  expect(view().ageMs).toBeGreaterThan(6_000);
  expect(log.entries.filter(({ event }) => event === 'discovery_failed')).toHaveLength(3);
  await tell('a', [instance('10.0.0.1')]);
  expect(view()).toMatchObject({ failure: undefined, failures: 4, ageMs: 0 });
  expect(log.events()).toContain('discovery_recovered');
  expect(clock.pending).toBe(0);
});

test('a plan that is refused leaves what was before, says so, and is tried again', async () => {
  const { serve, tell, run, urls, view, refuse, installed } = following();
  await serve(configOf(asked('a')), { a: [instance('10.0.0.1')] });
  refuse('no rows');
  await tell('a', [instance('10.0.0.2')]);
  await run(300);
  expect(urls()).toEqual(['http://10.0.0.1']);
  expect(view()).toMatchObject({ failure: 'no rows', failures: 1 });
  // The source answers well meanwhile; what it says still does not serve.
  await tell('a', [instance('10.0.0.2')]);
  expect(view().failure).toBe('no rows');
  expect(installed).toHaveLength(1);
  refuse(undefined);
  await run(5_500);
  expect(urls()).toEqual(['http://10.0.0.2']);
  expect(view().failure).toBeUndefined();
});

test('what a file says of an endpoint outweighs what was found', async () => {
  const { discovery, serve, urls } = following();
  const [pool] = configOf(asked('a')).pools;
  const written = config([{ ...pool!, endpoints: [{ url: 'http://10.0.0.1', weight: 9, backup: true }] }]);
  await serve(written, { a: [instance('10.0.0.1'), instance('10.0.0.2')] });
  expect(urls()).toEqual(['http://10.0.0.1', 'http://10.0.0.2']);
  expect(discovery.complete(written).pools[0]!.endpoints[0]).toEqual({
    url: 'http://10.0.0.1',
    weight: 9,
    backup: true,
  });
});

test('a source that breaks is taken up again', async () => {
  const { serve, tell, run, watching, urls } = following();
  await serve(configOf(asked('a')), { a: [instance('10.0.0.1')] });
  await tell('a', 'end');
  await run(5_100);
  expect(watching.get('a')).toHaveLength(2);
  await tell('a', [instance('10.0.0.2')]);
  await run(1_200);
  expect(urls()).toEqual(['http://10.0.0.2']);
});

test('a source that no pool names any more is let go, and after the end nothing is left to run', async () => {
  const { serve, tell, watching, discovery, clock } = following();
  await serve(configOf(asked('a'), asked('b')), { a: [instance('10.0.0.1')] });
  await serve(configOf(asked('b')));
  expect(watching.get('a')![0]!.signal.aborted).toBe(true);
  expect(watching.get('b')![0]!.signal.aborted).toBe(false);
  await tell('b', [instance('10.0.0.3')]);
  discovery.close();
  expect(watching.get('b')![0]!.signal.aborted).toBe(true);
  expect(clock.pending).toBe(0);
});

test('a configuration without sources is left as it is, and nothing runs for it', async () => {
  const { discovery, clock } = following();
  const written = config([poolConfig(['http://10.0.0.1'])]);
  await discovery.begin(written);
  discovery.follow(written);
  expect(discovery.complete(written)).toBe(written);
  expect(discovery.viewOf(written.pools[0]!)).toBeUndefined();
  expect(clock.pending).toBe(0);
});
