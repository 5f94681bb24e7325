import { describe, expect, it } from 'vitest';
import { ENDPOINT } from '../../memory/endpoint-table.ts';
import { keepsSessions } from './keeps-sessions.ts';

const { draining, keepsSessions: kept, unhealthy, ejected, joining } = ENDPOINT;

describe('sessions at an endpoint', () => {
  it.each([
    ['that is available', 0, [true, true]],
    ['that drains', draining, [false, true]],
    ['that drains and is to keep them', draining | kept, [true, true]],
    ['that drains and fails its check', draining | kept | unhealthy, [false, false]],
    ['that is ejected', ejected, [false, false]],
    ['that has not been checked yet', joining, [false, false]],
  ])('%s stay, in a pool that moves them and in one that keeps them: (status %d) %j', (_, status, stays) => {
    expect((['move', 'keep'] as const).map((whileDraining) => keepsSessions(status, whileDraining))).toEqual(stays);
  });
});
