/** How users write the limits of a route: as those of consumers and groups, and false for none. */
import Type from 'typebox';
import { RateLimitSchema, type RateLimitConfig } from '../../src/config/rate-limit-schema.ts';

declare module '../../src/config/schema.ts' {
  interface RouteConcerns {
    rateLimit: RateLimitConfig | false;
  }
}

export default Type.Union([...RateLimitSchema.anyOf, Type.Literal(false)], {
  description: 'Limits that must all allow a request: a limit, the name of one, or a list; false for none at all.',
});
