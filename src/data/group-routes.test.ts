import { describe, expect, it } from 'vitest';
import { compileGroupRule } from './group-routes.ts';

const GROUPS = {
  partners: { routes: ['orders', 'returns'] },
  billing: { routes: ['invoices'] },
  locked: { routes: [] },
  internal: {},
};

const mayUse = (memberOf: readonly string[], route: string) => compileGroupRule(GROUPS, route)!(memberOf);

describe('the routes of a group', () => {
  it.each([
    ['a member of one that names the route', ['partners'], 'orders', true],
    ['a member of one that does not', ['partners'], 'invoices', false],
    ['a member of two, of which one does', ['partners', 'billing'], 'invoices', true],
    ['a member of two, of which none does', ['partners', 'billing'], 'admin', false],
    ['a member of one that names none at all', ['internal'], 'admin', true],
    ['a member of a free and a restricted one', ['internal', 'partners'], 'admin', false],
    ['a member of one with an empty list', ['locked'], 'orders', false],
    ['a member of a group that is not defined', ['strangers'], 'orders', true],
    ['a member of none', [], 'orders', true],
    ['a member of what every object has', ['constructor', '__proto__'], 'orders', true],
  ])('%s: %j on %s is %s', (_, memberOf, route, may) => expect(mayUse(memberOf, route)).toBe(may));

  it('cost nothing where no group restricts anybody', () => {
    expect(compileGroupRule({ internal: {} }, 'orders')).toBeUndefined();
  });
});
