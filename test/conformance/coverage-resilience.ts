/** The part of the index about upstreams that fail: F106 to F119. */
import { breakers, failOver, further, held, outliers, type Row } from './coverage-rows.ts';

export const RESILIENCE: readonly Row[] = [
  held('F106', 'load on top of a brown-out', further('a service that answers nothing but 503 gets at most 1.2')),
  held('F107', 'a POST that was sent', further('a POST that was sent is never sent again')),
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
];
