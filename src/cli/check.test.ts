import { expect, it } from 'vitest';
import { configDirectory } from '../../test/support/command.ts';
import { check } from './check.ts';

it('warnings are told, and fail the check only when it is strict', async () => {
  const dir = await configDirectory({
    'routes.d/a.yaml': `pools: { a: { endpoints: [http://10.0.0.1] }, unused: { endpoints: [http://10.0.0.1] } }
routes: [{ name: a, pool: a }]`,
  });
  const lenient = await check(dir);
  expect(lenient.exitCode).toBe(0);
  expect(lenient.out).toMatch(
    /a\.yaml:1:\d+: warning: .*'unused'.*\nok: 0 errors, 1 warning, 1 route, 2 pools, 2 endpoints$/,
  );
  expect(await check(dir, { strict: true })).toMatchObject({ exitCode: 1, out: expect.stringContaining('not ok') });
});

it('a problem as data comes with its place', async () => {
  const dir = await configDirectory({ 'routes.d/a.yaml': 'routes:\n  - { name: a, pol: a }' });
  const { out = '', exitCode } = await check(dir, { json: true });
  expect(exitCode).toBe(1);
  const { ok, problems } = JSON.parse(out) as { ok: boolean; problems: object[] };
  expect(ok).toBe(false);
  expect(problems[0]).toMatchObject({
    file: 'routes.d/a.yaml',
    line: 2,
    severity: 'error',
    hint: expect.stringContaining('pool'),
  });
});
