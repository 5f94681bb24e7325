import { afterEach, expect, test } from 'vitest';
import { systemClock } from '../clock.ts';
import { until } from '../../test/support/until.ts';
import { startUpstream, type Answer } from '../../test/support/upstream.ts';
import { Traffic } from './traffic.ts';

let traffic: Traffic | undefined;

afterEach(() => traffic?.stop());

const named: Answer = (_, response) => response.end(JSON.stringify({ instance: { port: 7101 } }));

async function trafficTo(answer: Answer) {
  const upstream = await startUpstream('users', answer);
  traffic = new Traffic(upstream.url, 100, systemClock);
  return { traffic, upstream };
}

test('nobody waits for a request that hangs: the next ones are sent when they are due', async () => {
  let hung: (() => void) | undefined;
  const answer: Answer = (request, response, upstream) => {
    if (hung === undefined) hung = () => named(request, response, upstream);
    else named(request, response, upstream);
  };
  const { traffic, upstream } = await trafficTo(answer);
  await until(() => upstream.requests > 10, 'the requests behind the one that hangs');
  const stretch = traffic.take();
  hung?.();
  const { answers, failures } = await stretch;
  expect(failures).toEqual([]);
  expect(answers.get(7101)).toBeGreaterThan(10);
});

test('an answer that is no success is a failure, with what it said', async () => {
  const { traffic, upstream } = await trafficTo((_, response) => response.writeHead(503).end('out of luck'));
  await until(() => upstream.requests > 0, 'a request');
  const { answers, failures } = await traffic.take();
  expect(answers.size).toBe(0);
  expect(failures[0]).toBe('503: out of luck');
});

test('each stretch has its own: what was told once is not told again', async () => {
  const { traffic, upstream } = await trafficTo(named);
  await until(() => upstream.requests > 5, 'requests');
  traffic.stop();
  expect((await traffic.take()).answers.get(7101)).toBe(upstream.requests);
  expect((await traffic.take()).answers.size).toBe(0);
});
