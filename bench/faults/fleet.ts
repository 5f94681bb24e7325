/** The endpoints behind a contestant, each a process of its own, and the ways in which one breaks. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { answering, freePorts, LOAD_CORE, start, type Running } from '../process.ts';

const ENDPOINTS = 3;
const WORKERS = 2;
const SERVICE_MS = 20;
/** What all of them together can do. */
export const CAPACITY = (ENDPOINTS * WORKERS * 1000) / SERVICE_MS;

const PROGRAM = fileURLToPath(new URL('service.ts', import.meta.url));

export class Fleet {
  readonly ports: readonly number[];
  readonly #dir: string;
  readonly #name: string;
  readonly #endpoints: Running[] = [];

  private constructor(dir: string, name: string, ports: readonly number[]) {
    this.#dir = dir;
    this.#name = name;
    this.ports = ports;
  }

  static async start(dir: string, endpoints = ENDPOINTS, name = 'endpoint'): Promise<Fleet> {
    const fleet = new Fleet(dir, name, await freePorts(endpoints));
    for (const at of fleet.ports.keys()) await fleet.begin(at);
    return fleet;
  }

  async begin(at: number): Promise<void> {
    const port = this.ports[at]!;
    const argv = [process.execPath, PROGRAM, ...[port, WORKERS, SERVICE_MS].map(String)] as const;
    const name = `${this.#name}-${at}`;
    const endpoint = start(name, { argv: [...argv] }, this.#dir, LOAD_CORE);
    this.#endpoints[at] = endpoint;
    await answering(name, endpoint, `http://127.0.0.1:${port}/healthz`, this.#dir);
  }

  signal(at: number, signal: NodeJS.Signals): void {
    process.kill(this.#endpoints[at]!.pid, signal);
  }

  /** As a deploy does: asks it to end, lets it finish. */
  async end(at: number): Promise<void> {
    await this.#endpoints[at]!.stop();
  }

  /** How often requests came to endpoints that have ended by now, as they said. */
  asked(): number {
    const said = this.ports.map((_, at) => readFileSync(join(this.#dir, `${this.#name}-${at}.log`), 'utf8'));
    return said.reduce((sum, text) => sum + Number(/"asked":(\d+)/.exec(text)?.[1]), 0);
  }

  async stop(): Promise<void> {
    await Promise.all(this.#endpoints.map((endpoint) => endpoint.stop()));
  }
}
