/** A password from whoever types it, unseen and twice, or from a pipe. */
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { Writable } from 'node:stream';

export async function readPassword(): Promise<string> {
  // The end of the line that `echo` and files put behind it is not part of it.
  if (!process.stdin.isTTY) return (await text(process.stdin)).replace(/\r?\n$/, '');
  const password = await ask('password: ');
  if ((await ask('again: ')) !== password) throw new Error('the two are not the same');
  return password;
}

/** On standard error: standard output is for data. */
function ask(question: string): Promise<string> {
  const unseen = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: unseen, terminal: true });
  process.stderr.write(question);
  return new Promise((resolve, reject) => {
    lines.once('SIGINT', () => {
      lines.close();
      reject(new Error('nothing was changed'));
    });
    lines.question('', (answer) => {
      lines.close();
      process.stderr.write('\n');
      resolve(answer);
    });
  });
}
