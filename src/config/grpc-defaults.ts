/**
 * What a route that carries nothing but gRPC has in place of the usual defaults: streams of messages have no size, and the
 * first answer to one may come late. Its callers set deadlines; silence is bounded by `timeout.streamIdle`.
 */
import { carriesGrpc } from '../data/match/grpc.ts';
import { isObject, merge } from './merge.ts';
import type { MatchConfig } from './schema.ts';

const STREAM_IDLE = '5m';

/** @param route as written, over `defaults` of the gateway: what either says holds. */
export function withGrpcDefaults(route: Record<string, unknown>): Record<string, unknown> {
  const match = [route.match ?? []].flat() as MatchConfig[];
  if (!carriesGrpc(match)) return route;
  const { streamIdle = STREAM_IDLE } = (isObject(route.timeout) ? route.timeout : {}) as { streamIdle?: string };
  return merge({ timeout: { head: streamIdle }, limits: { body: 'none' } }, route) as Record<string, unknown>;
}
