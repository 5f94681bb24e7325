import v8 from 'node:v8';
import { expect, it } from 'vitest';
import { until } from '../../test/support/until.ts';
import { giveBackMemory } from './give-back.ts';

const MIB = 1024 ** 2;
const youngBytes = () =>
  v8.getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space')!.physical_space_size;

it('the room that young objects took is given back', async () => {
  const garbage = Array.from({ length: 500_000 }, (_, index) => ({ index }));
  expect(garbage.at(-1)).toEqual({ index: 499_999 });
  garbage.length = 0;
  expect(youngBytes()).toBeGreaterThan(4 * MIB);

  giveBackMemory();
  await until(() => youngBytes() < 4 * MIB, 'the room is given back');
});
