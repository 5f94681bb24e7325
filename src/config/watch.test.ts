import { writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock, type Clock } from '../clock.ts';
import { hashOf } from './read.ts';
import { watch, type ConfigWatch } from './watch.ts';

/** Well below the poll, so that a test which passes has seen an event. */
const DEADLINE_MS = 3_000;

let dir: string;
let watching: ConfigWatch | undefined;
let changes: number;
let heard: () => void;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'aya-watch-'));
  changes = 0;
  heard = () => undefined;
});

afterEach(async () => {
  watching?.close();
  await rm(dir, { recursive: true });
});

const users = () => join(dir, 'routes.d', 'users.yaml');

async function begin(clock: Clock = systemClock): Promise<void> {
  watching = watch(dir, clock, () => {
    changes++;
    heard();
  });
  await watching.ready;
}

function nextChange(): Promise<void> {
  return new Promise((resolve, reject) => {
    const deadline = systemClock.after(DEADLINE_MS, () => reject(new Error('no change was seen')));
    heard = () => {
      deadline.cancel();
      resolve();
    };
  });
}

async function seen(change: () => Promise<unknown>): Promise<void> {
  const next = nextChange();
  await change();
  await next;
}

describe('a change is seen', () => {
  beforeEach(async () => {
    await mkdir(join(dir, 'routes.d'));
    await writeFile(users(), 'routes: []');
    await begin();
  });

  it('when a file is written, added or removed', async () => {
    await seen(() => writeFile(users(), 'pools: {}'));
    await seen(() => writeFile(join(dir, 'routes.d', 'orders.yml'), ''));
    await seen(() => rm(users()));
    await seen(() => writeFile(join(dir, 'gateway.yaml'), 'threads: 2'));
  });

  it('when an editor saves by renaming, again and again', async () => {
    for (const text of ['# 1', '# 2', '# 3']) {
      await writeFile(`${users()}~`, text);
      await seen(() => rename(`${users()}~`, users()));
    }
  });

  it('when routes.d is replaced as a whole, and in the new one too', async () => {
    await seen(() => rm(join(dir, 'routes.d'), { recursive: true }));
    await seen(async () => {
      await mkdir(join(dir, 'routes.d'));
      await writeFile(users(), '# new');
    });
    await seen(() => writeFile(users(), '# newer'));
  });

  it('once, for all that is saved together', async () => {
    await seen(async () => {
      for (let i = 0; i < 20; i++) writeFileSync(join(dir, 'routes.d', `${i}.yaml`), '');
    });
    await seen(() => writeFile(users(), '# the end'));
    expect(changes).toBe(2);
  });
});

it('routes.d may come later', async () => {
  await begin();
  await seen(async () => {
    await mkdir(join(dir, 'routes.d'));
    await writeFile(users(), '');
  });
  await seen(() => writeFile(users(), '# more'));
});

it('a Kubernetes ConfigMap swaps one link for all files', async () => {
  const mount = join(dir, 'routes.d');
  for (const version of ['..1', '..2', '..3']) {
    await mkdir(join(mount, version), { recursive: true });
    await writeFile(join(mount, version, 'users.yaml'), `# ${version}`);
  }
  await symlink('..1', join(mount, '..data'));
  await symlink('..data/users.yaml', users());
  await begin();
  for (const version of ['..2', '..3']) {
    await symlink(version, join(mount, '..data_tmp'));
    await seen(() => rename(join(mount, '..data_tmp'), join(mount, '..data')));
  }
});

describe('without events', () => {
  let poll: () => unknown;
  const onlyPolls: Clock = {
    ...systemClock,
    after: () => ({ cancel: () => undefined }),
    every: (_periodMs, run) => {
      poll = run;
      return { cancel: () => undefined };
    },
  };

  it('the poll sees a change', async () => {
    await begin(onlyPolls);
    await writeFile(join(dir, 'gateway.yaml'), 'threads: 2');
    await poll();
    expect(changes, 'half a file is no change').toBe(0);
    await poll();
    expect(changes).toBe(1);
  });

  it('a touch is none, nor is what is no configuration', async () => {
    await mkdir(join(dir, 'routes.d'));
    await writeFile(users(), 'routes: []');
    await begin(onlyPolls);
    await utimes(users(), 1, 1);
    await writeFile(join(dir, 'routes.d', '.users.yaml.swp'), 'x');
    await writeFile(join(dir, 'routes.d', 'schema.json'), '{}');
    await writeFile(users(), 'routes: []');
    await poll();
    expect(changes).toBe(0);
  });
});

describe('a file that the configuration names', () => {
  const schema = () => join(dir, 'schemas', 'order.json');
  let follow: (digest: string) => void;

  beforeEach(async () => {
    await mkdir(join(dir, 'schemas'));
    await writeFile(schema(), '{}');
    const following = watch(dir, systemClock, () => {
      changes++;
      heard();
    });
    watching = following;
    await following.ready;
    follow = (digest) => following.follow(new Map([[schema(), digest]]));
  });

  const digest = (text: string) => hashOf(Buffer.from(text));

  it('is watched once it was loaded', async () => {
    follow(digest('{}'));
    await seen(() => writeFile(schema(), '[]'));
    expect(changes).toBe(1);
  });

  it('that was changed since it was loaded is found at once', async () => {
    await seen(() => Promise.resolve(follow(digest('an older version'))));
    expect(changes).toBe(1);
  });

  it('that goes, and comes again, is seen both times', async () => {
    follow(digest('{}'));
    await seen(() => rm(schema()));
    await seen(() => writeFile(schema(), '{}'));
    expect(changes).toBe(2);
  });

  it('whose older version goes on serving is told of once', async () => {
    follow(digest('{}'));
    await seen(() => writeFile(schema(), 'broken'));
    // The reload had to keep what was loaded before.
    follow(digest('{}'));
    await seen(() => writeFile(join(dir, 'gateway.yaml'), '# 1'));
    expect(changes).toBe(2);
  });
});

it('after close nothing is told', async () => {
  await begin();
  await seen(() => writeFile(join(dir, 'gateway.yaml'), '# 1'));
  watching?.close();
  const other = watch(dir, systemClock, () => heard());
  await other.ready;
  await seen(() => writeFile(join(dir, 'gateway.yaml'), '# 2'));
  other.close();
  expect(changes).toBe(1);
});
