import { describe, expect, it } from 'vitest';
import { hashPassword, parsePasswordHash, verifyPassword, type PasswordHash } from './password-hash.ts';

const SALT = 'c2FsdHNhbHQ';
const HASH = 'a'.repeat(43);
const is = (password: string, hash: PasswordHash) =>
  new Promise<boolean>((resolve) => verifyPassword(password, hash, resolve));

describe('a password hash', () => {
  it('is that of its password and of no other', async () => {
    const hash = parsePasswordHash(await hashPassword('correct horse'));
    expect(hash).toMatchObject({ cost: { N: 2 ** 15, r: 8, p: 1 } });
    expect(await is('correct horse', hash as PasswordHash)).toBe(true);
    expect(await is('correct hors', hash as PasswordHash)).toBe(false);
    expect(await is('', hash as PasswordHash)).toBe(false);
  });

  it('of the same password is another each time', async () => {
    expect(await hashPassword('correct horse')).not.toBe(await hashPassword('correct horse'));
  });

  // RFC 7914 §12, the third vector.
  it('of another maker holds', async () => {
    const derived = Buffer.from(
      '7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887',
      'hex',
    );
    const salt = Buffer.from('SodiumChloride').toString('base64url');
    const hash = parsePasswordHash(`scrypt$16384$8$1$${salt}$${derived.toString('base64url')}`);
    expect(await is('pleaseletmein', hash as PasswordHash)).toBe(true);
  });

  it.each([
    ['of another kind', '$2b$12$abcdefghijklmnopqrstuv', 'is not scrypt'],
    ['with a part missing', `scrypt$16384$8$1$${SALT}`, 'is not scrypt'],
    ['in other base64', `scrypt$16384$8$1$${SALT}$${'+/'.repeat(22)}`, 'is not scrypt'],
    ['with N that is no power of two', `scrypt$16383$8$1$${SALT}$${HASH}`, 'no power of two'],
    ['with N 1', `scrypt$1$8$1$${SALT}$${HASH}`, 'no power of two'],
    ['with r 0', `scrypt$16384$0$1$${SALT}$${HASH}`, 'r or p 0'],
    ['that takes 4 GiB', `scrypt$4194304$8$1$${SALT}$${HASH}`, 'costs too much'],
    ['that takes long', `scrypt$16384$8$99$${SALT}$${HASH}`, 'costs too much'],
  ])('%s is refused without a word of it', (_, text, says) => {
    const refusal = parsePasswordHash(text);
    expect(refusal).toContain(says);
    expect(refusal).not.toContain(HASH);
  });
});
