/** What every fetch of the control plane must do: bound what it reads, and say in an operator's words why it failed. */

/** @throws when there is more of it. */
export async function boundedText(response: Response, mostBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > mostBytes) throw new Error(`larger than ${mostBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** @param withinMs how long it was waited for. */
export function fetchFailure(error: unknown, withinMs: number): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return `no answer within ${withinMs} ms`;
  if (error instanceof SyntaxError) return 'not JSON';
  const { cause } = error as { cause?: NodeJS.ErrnoException };
  // The system's codes are what operators know; those of the client say less than its sentences.
  return cause?.code?.startsWith('E') === true ? cause.code : (cause?.message ?? error.message);
}
