/** The fleet that routes.d describes: nine instances of four services. One that is killed comes back by itself. */
import { once } from 'node:events';
import type { ChildProcess } from 'node:child_process';
import type { Clock } from '../clock.ts';
import { end, run } from './processes.ts';

export const COMES_BACK_MS = 8_000;

export interface Role {
  readonly service: string;
  readonly port: number;
  readonly slow?: string;
  readonly flaky?: string;
}

export const ROLES: readonly Role[] = [
  { service: 'users', port: 7101 },
  { service: 'users', port: 7102 },
  { service: 'users', port: 7103 },
  { service: 'orders', port: 7201 },
  { service: 'orders', port: 7202 },
  { service: 'orders', port: 7203, slow: '200ms' },
  { service: 'catalogue', port: 7301 },
  { service: 'catalogue', port: 7302 },
  { service: 'catalogue-next', port: 7311, flaky: '10%' },
];

export class Instance {
  readonly role: Role;
  readonly #clock: Clock;
  readonly #tell: (event: string) => void;
  #child: ChildProcess | undefined;
  #stopping = false;
  #comesBackMs = COMES_BACK_MS;
  #up = Promise.withResolvers<void>();

  /** @param tell hears when the instance ended and when it is back. */
  constructor(role: Role, clock: Clock, tell: (event: string) => void) {
    this.role = role;
    this.#clock = clock;
    this.#tell = tell;
  }

  /** Of the process that serves now; it changes with each return. */
  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** Resolves when it listens; rejects when it ended before. */
  async start(): Promise<void> {
    const { service, port, slow = '0ms', flaky = '0%' } = this.role;
    const args = ['--name', service, '--port', String(port), '--slow', slow, '--flaky', flaky];
    const child = run('cli/demo-service', args, ['ignore', 'inherit', 'inherit', 'ipc']);
    this.#child = child;
    const listens = once(child, 'message').then(() => true);
    const ends = once(child, 'exit').then(() => false);
    if (!(await Promise.race([listens, ends]))) throw new Error(`${service} on ${port} did not start`);
    child.once('exit', () => this.#ended());
    this.#up.resolve();
  }

  /** Resolves when it listens, be it for the first time or again. */
  isUp(): Promise<void> {
    return this.#up.promise;
  }

  /** As kill -9. @param comesBackMs when it is started again; for this time only. */
  kill(comesBackMs = COMES_BACK_MS): void {
    this.#comesBackMs = comesBackMs;
    this.#up = Promise.withResolvers();
    this.#child?.kill('SIGKILL');
  }

  /** It keeps its port and its connections, takes new ones, and answers nobody. */
  hang(): void {
    this.#child?.kill('SIGSTOP');
  }

  goOn(): void {
    this.#child?.kill('SIGCONT');
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    if (this.#child !== undefined) await end(this.#child, this.#clock);
  }

  #ended(): void {
    if (this.#stopping) return;
    const { service, port } = this.role;
    const comesBackMs = this.#comesBackMs;
    this.#comesBackMs = COMES_BACK_MS;
    this.#tell(`${service} on ${port} is gone (pid ${this.pid}); it comes back in ${comesBackMs / 1000} s`);
    this.#clock.after(comesBackMs, () => {
      if (this.#stopping) return;
      this.start().then(
        () => this.#tell(`${service} on ${port} is back (pid ${this.pid})`),
        (error: Error) => this.#tell(error.message),
      );
    });
  }
}
