import { beforeEach, describe, expect, it } from 'vitest';
import { FakeClock } from '../../test/support/fake-clock.ts';
import { COOLDOWN_MS, Documents, type RemoteDocument } from './documents.ts';

const URL = 'https://id.example.com/keys';

let clock: FakeClock;
let asked: string[];
let documents: Documents;

beforeEach(() => {
  clock = new FakeClock();
  asked = [];
  documents = new Documents((url) => void asked.push(url), clock);
});

const document = (changes: Partial<RemoteDocument> = {}): RemoteDocument => ({
  url: URL,
  text: '{}',
  version: 1,
  failure: undefined,
  askedAt: clock.now(),
  ...changes,
});

describe('a thread that misses something in a document', () => {
  it('asks once for all that wait, and lets all go on when there is an answer', () => {
    let done = 0;
    for (let times = 0; times < 3; times++) documents.refresh(URL, () => done++);
    expect({ asked, done }).toEqual({ asked: [URL], done: 0 });
    documents.receive(document());
    expect(done).toBe(3);
    expect(documents.get(URL)?.text).toBe('{}');
  });

  it('does not ask while the server could not be asked anyway', () => {
    let done = 0;
    documents.receive(document());
    clock.advance(COOLDOWN_MS - 1);
    documents.refresh(URL, () => done++);
    expect({ asked, done }).toEqual({ asked: [], done: 1 });
    clock.advance(1);
    documents.refresh(URL, () => done++);
    expect({ asked, done }).toEqual({ asked: [URL], done: 1 });
  });

  it('waits for a first answer that is on its way, and not after it has failed', () => {
    let done = 0;
    documents.receive(document({ text: undefined, version: 0 }));
    documents.refresh(URL, () => done++);
    expect({ asked, done }).toEqual({ asked: [URL], done: 0 });
    documents.receive(document({ text: undefined, version: 0, failure: 'ECONNREFUSED' }));
    documents.refresh(URL, () => done++);
    expect({ asked, done }).toEqual({ asked: [URL], done: 2 });
  });
});
