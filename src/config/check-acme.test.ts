import { mkdtempSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cleanup } from '../../test/support/cleanup.ts';
import { load } from './load.ts';

const GOOD = { domains: ['api.test'], termsAgreed: true };

async function loaded(acme: object, listen: object[] = [{ port: 80 }], tls: object = {}) {
  const dir = mkdtempSync(join(tmpdir(), 'aya-acme-'));
  cleanup(() => rm(dir, { recursive: true }));
  writeFileSync(join(dir, 'a-file'), 'no certificate');
  writeFileSync(
    join(dir, 'gateway.yaml'),
    JSON.stringify({ listen: [...listen, { port: 443, tls: { ...tls, acme } }] }),
  );
  return load(dir);
}

describe('acme', () => {
  it('needs no more than domains and consent; files are found beside gateway.yaml', async () => {
    const { config, problems } = await loaded({ ...GOOD, domains: ['API.test'] });
    expect(problems).toEqual([]);
    expect(config!.gateway.listen[1]!.tls).toMatchObject({
      certificates: [],
      acme: {
        domains: ['api.test'],
        directory: 'https://acme-v02.api.letsencrypt.org/directory',
        keyType: 'ec256',
        storage: join(config!.dir, 'acme'),
      },
    });
  });

  it.each([
    [{ ...GOOD, termsAgreed: undefined }, 'the terms of service are not agreed to'],
    [{ ...GOOD, termsAgreed: false }, 'the terms of service are not agreed to'],
    [{ ...GOOD, domains: ['*.api.test'] }, "'*.api.test': HTTP-01 cannot prove a wildcard"],
    [{ ...GOOD, domains: ['10.0.0.1'] }, "'10.0.0.1' is an address: certificates are for host names"],
    [{ ...GOOD, domains: ['api test'] }, "'api test' is no host name"],
    [{ ...GOOD, domains: ['api.test', 'API.test'] }, "'api.test' is listed twice"],
    [{ ...GOOD, directory: 'http://ca.test/dir' }, 'directory'],
    [{ ...GOOD, directory: 'https://' }, "'https://' is no URL"],
    [{ ...GOOD, storage: '../keys' }, 'leads out of the configuration'],
    [{ ...GOOD, storage: 'a-file' }, "'a-file' is a file"],
    [{ ...GOOD, ca: 'a-file' }, "'a-file' holds no PEM certificate that can be read"],
    [{ ...GOOD, ca: 'nowhere.pem' }, "file 'nowhere.pem' does not exist"],
    [{ ...GOOD, externalAccount: { keyId: 'a', macKey: 'no base64!' } }, 'the key is not base64url'],
  ])('%j is refused', async (acme, message) => {
    const { config, problems } = await loaded(acme);
    expect(config).toBeUndefined();
    expect(problems.map((problem) => problem.message).join('\n')).toContain(message);
  });

  it('says how certificates have a name that is not ASCII', async () => {
    const { problems } = await loaded({ ...GOOD, domains: ['bücher.test'] });
    expect(problems).toMatchObject([{ hint: 'certificates have it as xn--bcher-kva.test', line: 1 }]);
  });

  it('warns where nobody would answer the authority', async () => {
    const { config, problems } = await loaded(GOOD, []);
    expect(config).toBeDefined();
    expect(problems).toMatchObject([{ severity: 'warning', message: expect.stringContaining('plain HTTP') }]);
  });
});
