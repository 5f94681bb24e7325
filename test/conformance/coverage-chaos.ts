/**
 * Which test breaks a fleet in each known way, numbered as in the list this gateway was built against: C are what operators
 * live through, F what balancing and retries must bear. Those of the whole gateway over time are measured: `npm run soak`.
 */
import { answers, clients, held, inFile, none, type Row } from './coverage-rows.ts';

const killed = inFile('test/scenarios/a-killed-instance-is-not-noticed.test.ts');
const fleet = inFile('test/faults/a-fleet-that-breaks.test.ts');
const failOver = inFile('test/faults/fail-over.test.ts');
const store = inFile('test/faults/a-store-that-fails.test.ts');
const twoGateways = inFile('test/scenarios/limits-over-two-gateways.test.ts');
const fleetCache = inFile('test/scenarios/a-cache-over-two-gateways.test.ts');
const soak = inFile('bench/faults/soak.ts');
const measured = inFile('bench/faults/faults.ts');
const balancers = inFile('test/support/balancer-contract.ts');
const leastConnections = inFile('src/upstream/balancers/least-connections.test.ts');
const hash = inFile('src/upstream/balancers/hash.test.ts');
const saturated = inFile('test/scenarios/a-pool-is-saturated.test.ts');
const overSaturated = inFile('test/simulation/saturation.test.ts');
const overloaded = inFile('test/scenarios/an-overloaded-gateway.test.ts');
const shedding = inFile('src/data/shedding.test.ts');

export const CHAOS: readonly Row[] = [
  held(
    'C5',
    'an instance is killed, and is back',
    killed(
      'no GET is lost when %s killed, and none is slow',
      'the instance is back in rotation soon after it is back',
      'no POST is done twice',
    ),
    fleet('while an instance comes and goes, again and again'),
  ),
  held(
    'C6',
    'all of a pool are dead',
    fleet('is not asked any more once its breaker is open: 503 at once, and other routes feel nothing'),
    failOver('says so, and other routes feel nothing'),
  ),
  held(
    'C7',
    'an instance that never answers',
    fleet('while an instance hangs, and it has its share again when it goes on'),
    clients('costs its clients the route’s limit and little more, and leaves nothing behind'),
  ),
  held('C8', 'an answer of a byte a second', answers('a body that drips is cut at the total limit')),
  held(
    'C9',
    'an answer that breaks off',
    fleet('breaks at the client, is never asked for again behind its back, and never stored'),
  ),
  held(
    'C17',
    'a store that is gone, hangs or is read-only',
    store('%s is not waited for: each limit decides as it says'),
    twoGateways('counts alone while Redis is away'),
    fleetCache('while Redis hangs nobody waits long'),
  ),
  held(
    'C20',
    'half an hour of C5 to C9 at half load (measured)',
    soak(
      'GETs answered right',
      'p99 of GETs, beside quiet',
      'memory, last quarter beside second',
      'descriptors at rest, beside before',
    ),
  ),
  held(
    'C21',
    'no processor left (measured), and more asked than can be done',
    measured('Two busy processes'),
    overloaded('refuses the lowest priority first and the highest last'),
    shedding('refuses nobody for one long stall', 'goes on for as long as it is not clearly over'),
    overSaturated('does 90 percent of what it can with a limit %s', 'are served alike, whatever each of them asks for'),
    saturated(
      'always has work, and all that it does is still waited for',
      'has a place for another as soon as one who waits',
    ),
  ),
  held(
    'F111',
    'an instance that is ten times slower',
    failOver('of three gets under a tenth of the requests'),
    leastConnections('leaves a ten times slower endpoint of three under a tenth'),
  ),
  held(
    'F113',
    'all unhealthy',
    failOver('with all endpoints unhealthy, %s as configured', 'takes a dead endpoint out before a request meets it'),
  ),
  held(
    'F114',
    'weights',
    fleet('weights are shares, and 0 gets nothing'),
    balancers('keeps 70/30/0 within five points of 500 picks'),
  ),
  held(
    'F115',
    'a member of a hashed pool leaves',
    fleet('one of ten that is taken away moves its own keys and few others'),
    hash('moves few keys when one of ten leaves'),
  ),
  none('F118', 'mirrors', 'nothing is mirrored yet'),
];
