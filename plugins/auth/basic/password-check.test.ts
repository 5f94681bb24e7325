import { expect, it } from 'vitest';
import type { PasswordHash } from '../../../src/credentials/password-hash.ts';
import { PasswordCheck, type Checked } from './password-check.ts';

const hashOf = (N: number) => `scrypt$${N}$8$1$c2FsdHNhbHQ$${'a'.repeat(43)}`;

/** A verification that ends when it is told to. */
function slow() {
  const asked: { password: string; hash: PasswordHash; end: (is: boolean) => void }[] = [];
  const passwords = new PasswordCheck((password, hash, end) => void asked.push({ password, hash, end }));
  const told: Checked[] = [];
  const ask = (password: string, written: string | undefined) =>
    passwords.check(password, written, (checked) => void told.push(checked));
  return { asked, told, ask, check: (password: string) => ask(password, hashOf(16384)) };
}

it('a right password is verified once, then known', () => {
  const { asked, told, check } = slow();
  expect(check('right')).toBeUndefined();
  asked[0]!.end(true);
  expect(told).toEqual(['right']);
  expect(check('right')).toBe('right');
  expect(asked).toHaveLength(1);
});

it('a wrong one is verified each time', () => {
  const { asked, told, check } = slow();
  check('wrong');
  asked[0]!.end(false);
  expect(check('wrong')).toBeUndefined();
  expect(asked).toHaveLength(2);
  expect(told).toEqual(['wrong']);
});

it('what is known of one hash says nothing of its successor', () => {
  const { asked, ask } = slow();
  ask('right', hashOf(16384));
  asked[0]!.end(true);
  expect(ask('right', hashOf(32768))).toBeUndefined();
});

it('those who ask the same at once hear the same', () => {
  const { asked, told, check } = slow();
  for (let at = 0; at < 10; at++) check('right');
  expect(asked).toHaveLength(1);
  asked[0]!.end(true);
  expect(told).toEqual(Array.from({ length: 10 }, () => 'right'));
});

it('two run, fifty wait, the next is told that nobody has time', () => {
  const { asked, told, check } = slow();
  for (let at = 0; at < 52; at++) expect(check(`guess ${at}`)).toBeUndefined();
  expect(check('one too many')).toBe('busy');
  expect(asked).toHaveLength(2);
  for (let at = 0; at < 52; at++) asked[at]!.end(false);
  expect(told).toHaveLength(52);
  expect(check('one too many')).toBeUndefined();
});

it('an unknown name costs what a known one did last, and is wrong whatever comes out', () => {
  const { asked, told, ask } = slow();
  ask('a', hashOf(65536));
  ask('b', undefined);
  expect(asked[1]!.hash.cost).toEqual(asked[0]!.hash.cost);
  asked[1]!.end(true);
  expect(told).toEqual(['wrong']);
  expect(ask('b', undefined)).toBeUndefined();
});
