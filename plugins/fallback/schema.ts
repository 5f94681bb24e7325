/** How users turn fallbacks off on a route. What falls back to what is said in the pools: src/config/failover-schema.ts. */
import Type from 'typebox';

declare module '../../src/config/schema.ts' {
  interface RouteConcerns {
    fallback: false;
  }
}

export default Type.Literal(false, {
  description: 'false: when the pool cannot serve, the client is told so, whatever the pool’s fallback.',
});
