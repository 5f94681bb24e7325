/** Whether a request costs more when there are many routes: the same gateway, with ten and with ten thousand. */
import { aya, ayaCommand, fleet } from '../contestants/aya.ts';
import { race, type Entrant } from '../race.ts';
import { fixed, thousands, type Scenario } from './scenario.ts';

const FEW = 10;
const MANY = 10_000;

export const routes: Scenario = {
  name: 'routes',
  title: `Aya with ${FEW} and with ${thousands(MANY)} routes`,
  async run(bench) {
    const [few, many] = await race([withRoutes(FEW), withRoutes(MANY)], bench);
    if (few === undefined || many === undefined) throw new Error('the race lost a contestant');
    return {
      columns: ['routes', 'µs CPU/request, best', 'median'],
      rows: [few, many].map(({ name, absent, cpuUs }) => [name, absent ?? fixed(cpuUs.best), fixed(cpuUs.median)]),
      budgets: [{ promise: 'ten thousand routes to ten', atMost: 1.1, found: many.cpuUs.best / few.cpuUs.best }],
      figures: { few, many },
    };
  },
};

function withRoutes(count: number): Entrant {
  return {
    name: thousands(count),
    version: aya.version,
    path: `/service-${Math.floor(count * 0.7)}/orders/7`,
    configure: (place) => ayaCommand(place, { threads: 1, accessLog: false }, fleet(place, count)),
  };
}
