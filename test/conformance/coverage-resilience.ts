/** The rows of upstreams that fail: F106 and on, and what was done to running fleets. See coverage.ts. */
import { breakers, discovered, failOver, further, held, outliers, starts, throws, type Row } from './coverage-rows.ts';

export const RESILIENCE: readonly Row[] = [
  held(
    'F106',
    'a brown-out: load on top',
    further('a service that answers nothing but 503 gets at most 1.1 times'),
    failOver('is bounded by its budget'),
  ),
  held(
    'F107',
    'a POST that was sent',
    further('a POST that was sent is never sent again'),
    failOver('of a POST is not made once it was sent'),
  ),
  held('F108', 'a POST that was not sent', failOver('of a POST is made when nothing was sent')),
  held('F109', 'a body that was streamed', failOver('of a body that was streamed is not made')),
  held('F110', 'a kept connection closed at reuse', failOver('that the service closes at the moment of reuse')),
  held('F112', 'an endpoint that fails at once', outliers('by default: one of three that fails at once is out')),
  held('F116', 'a health endpoint that lies', outliers('a health endpoint that says 200 while requests fail')),
  held('F117', 'failing together', further('a hundred clients that fail together do not return together')),
  held(
    'F119',
    'circuit breakers',
    breakers(
      'opens when its share of answers failed',
      'lets a trickle through over both threads',
      'gives the place of a probe back when its client leaves',
    ),
  ),
  held('F120', 'a plugin that throws', throws('in its %s: 500 for that request alone', 'is counted')),
  held(
    'C10',
    'an endpoint that comes back cold',
    starts(
      'one that comes back cold is not stampeded, though it has the fewest connections',
      'with %j one that joins has little at first, in all threads',
    ),
  ),
  held(
    'C11',
    'the names of an upstream change, fail or answer nothing',
    discovered(
      'they come and go under load, and no request is lost',
      'they stay as they were when the name is gone or its server is, which is said and counted',
    ),
  ),
  held(
    'C12',
    'a name that leads to where it must not',
    discovered('an address outside of `allow` is refused, and what was before stays'),
  ),
];
