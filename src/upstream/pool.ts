/** placeholder while the seams settle */
import type { Candidate } from './endpoint.ts';
export interface Endpoint extends Candidate {
  readonly backup: boolean;
}
export interface Pool {
  readonly name: string;
  /** Whether an endpoint that is not in `tried` could be picked now. */
  hasUntried(tried: readonly Endpoint[]): boolean;
}
