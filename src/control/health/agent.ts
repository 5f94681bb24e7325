/**
 * What an agent beside an endpoint says, in the text protocol of HAProxy's agent-check: it answers a connection with one line
 * of words. Only what is said changes: an agent that cannot be reached leaves all as it was, and what it has once taken
 * away it alone gives back.
 */
import { connect } from 'node:net';
import type { AgentConfig } from '../../config/schema.ts';
import { describeFailure } from './checker.ts';

/** Everything that an agent has said so far. */
export interface AgentState {
  /** `down`, `fail`, `stopped`, until `up`. */
  readonly isDown: boolean;
  /** `drain` or `maint`, until `ready`. */
  readonly rests: 'drain' | 'maint' | undefined;
  /** Of the endpoint's weight. */
  readonly share: number;
  /** 0: any number. */
  readonly maxInFlight: number;
}

export const SILENT: AgentState = { isDown: false, rests: undefined, share: 1, maxInFlight: 0 };

/** HAProxy's greatest weight, in percent of one that is written. */
const MOST_SHARE = 2.56;
const MAX_LINE = 1024;

/** @param weight of the endpoint, as written. Words that are not known are passed over; of contradictory ones the last counts. */
export function heed(before: AgentState, line: string, weight: number): AgentState {
  const words = line
    .split('#', 1)[0]!
    .toLowerCase()
    .split(/[\s,]+/);
  return words.reduce((state, word) => heedWord(state, word, weight), before);
}

function heedWord(state: AgentState, word: string, weight: number): AgentState {
  switch (word) {
    case 'up':
      return { ...state, isDown: false };
    case 'down':
    case 'fail':
    case 'stopped':
      return { ...state, isDown: true };
    case 'ready':
      return { ...state, rests: undefined };
    case 'drain':
    case 'maint':
      return { ...state, rests: word };
  }
  const [, percent] = /^(?:weight:)?(\d{1,3})%$/.exec(word) ?? [];
  if (percent !== undefined) return { ...state, share: Math.min(MOST_SHARE, Number(percent) / 100) };
  const [, absolute] = /^weight:(\d{1,3})$/.exec(word) ?? [];
  if (absolute !== undefined && weight > 0) return { ...state, share: Math.min(256, Number(absolute)) / weight };
  const [, most] = /^maxconn:(\d{1,6})$/.exec(word) ?? [];
  return most === undefined ? state : { ...state, maxInFlight: Number(most) };
}

/** Never rejects. @returns its line, or why there is none. */
export function askAgent(
  url: string,
  { port, send }: AgentConfig,
  signal: AbortSignal,
): Promise<{ readonly line: string } | { readonly failure: string }> {
  const host = new URL(url).hostname.replace(/^\[|\]$/g, '');
  return new Promise((resolve) => {
    const socket = connect({ host, port, signal });
    let text = '';
    const finish = (result: { line: string } | { failure: string }): void => {
      socket.destroy();
      resolve(result);
    };
    socket.setEncoding('latin1');
    if (send !== undefined) socket.write(send);
    socket.on('data', (chunk: string) => {
      text += chunk;
      const [line, ...more] = text.split(/[\r\n]/, 2);
      if (line!.length > MAX_LINE) finish({ failure: `a line of more than ${MAX_LINE} bytes` });
      else if (more.length > 0) finish({ line: line! });
    });
    socket.on('end', () => finish(text === '' ? { failure: 'said nothing' } : { line: text }));
    socket.on('error', (error) => finish({ failure: describeFailure(error) }));
  });
}
