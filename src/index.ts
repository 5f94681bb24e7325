/** What the package offers to programs: the gateway itself, and what a plugin needs to be one. */
export { startGateway, type ExitSummary, type Gateway, type GatewayOptions } from './control/gateway.ts';
export { ConfigRefused } from './control/config-source.ts';
export type {
  EndpointView,
  GatewayStatus,
  ListenerView,
  PoolView,
  ReloadResult,
  RouteView,
  ThreadView,
} from './control/view.ts';

export type { Config, GatewayConfig, PoolConfig, RouteConcerns, RouteConfig } from './config/schema.ts';
export { formatProblem, type Problem } from './config/problem.ts';

export {
  definePlugin,
  type Concern,
  type ConfigFault,
  type PluginContext,
  type PluginDefinition,
} from './extension.ts';
export type { Control, Dispatch, Layer, ResponseHandler, UpstreamRequest } from './data/dispatch.ts';
export type { Exchange } from './data/exchange.ts';
export type { Phase } from './data/phases.ts';
export { GatewayError, type ErrorType, type GatewayErrorOptions, type RetryClass } from './errors.ts';
export type { Balancer, BalancerContext, BalancerDefinition, Candidate, PickRequest } from './upstream/endpoint.ts';
export { systemClock, systemRandom, type Clock, type Random, type Timer } from './clock.ts';
