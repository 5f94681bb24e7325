/** Asks the agents of all endpoints that have one, each on its own, and does as they say. */
import type { Clock, Random, Timer } from '../../clock.ts';
import type { AgentConfig } from '../../config/schema.ts';
import { ENDPOINT, type EndpointTable } from '../../memory/endpoint-table.ts';
import type { EndpointRegistry, RegisteredEndpoint } from '../endpoint-registry.ts';
import type { ControlLog } from '../log.ts';
import type { AgentView } from '../view.ts';
import { askAgent, heed, SILENT, type AgentState } from './agent.ts';

/** Agents that were started together are not asked in step. */
const JITTER = 0.1;
/** Of what an agent says, as it is shown. */
const SHOWN = 200;

export interface AgentParts {
  readonly registry: EndpointRegistry;
  readonly table: EndpointTable;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: ControlLog;
}

export class AgentWatch {
  readonly #parts: AgentParts;
  readonly #agents = new Map<RegisteredEndpoint, Agent>();

  constructor(parts: AgentParts) {
    this.#parts = parts;
  }

  /** Follows the registry's serving configuration. */
  update(): void {
    const serving = new Set([...this.#parts.registry.pools.values()].flat());
    for (const [endpoint, agent] of this.#agents) {
      const config = serving.has(endpoint) ? endpoint.pool.health.agent : undefined;
      if (config !== undefined && JSON.stringify(config) === agent.key) continue;
      agent.stop();
      this.#agents.delete(endpoint);
      if (config === undefined) agent.forget();
      else this.#agents.set(endpoint, new Agent(this.#parts, endpoint, config, agent.state));
    }
    for (const endpoint of serving) {
      const config = endpoint.pool.health.agent;
      if (config === undefined || this.#agents.has(endpoint)) continue;
      this.#agents.set(endpoint, new Agent(this.#parts, endpoint, config, SILENT));
    }
  }

  /** undefined: it has none. */
  viewOf(endpoint: RegisteredEndpoint): AgentView | undefined {
    return this.#agents.get(endpoint)?.view;
  }

  close(): void {
    for (const agent of this.#agents.values()) agent.stop();
    this.#agents.clear();
  }
}

class Agent {
  readonly key: string;
  state: AgentState;
  readonly #parts: AgentParts;
  readonly #endpoint: RegisteredEndpoint;
  readonly #config: AgentConfig;
  readonly #abort = new AbortController();
  #timer: Timer;
  #said = '';
  /** Why it could not be asked the last time. */
  #failure: string | undefined;
  #failures = 0;

  constructor(parts: AgentParts, endpoint: RegisteredEndpoint, config: AgentConfig, state: AgentState) {
    this.key = JSON.stringify(config);
    this.state = state;
    this.#parts = parts;
    this.#endpoint = endpoint;
    this.#config = config;
    const { clock, random } = parts;
    this.#timer = clock.after(random() * Math.min(config.interval, 1_000), () => void this.#run());
  }

  get view(): AgentView {
    const { share, maxInFlight } = this.state;
    return { said: this.#said, share, maxInFlight, failure: this.#failure, failures: this.#failures };
  }

  stop(): void {
    this.#timer.cancel();
    this.#abort.abort();
  }

  /** It is no longer asked, so nobody is left to take back what it has said. */
  forget(): void {
    this.#follow(SILENT, 'no longer asked');
  }

  async #run(): Promise<void> {
    const { clock, random } = this.#parts;
    const answer = await this.#ask();
    if (this.#abort.signal.aborted) return;
    if ('line' in answer) this.#hear(answer.line);
    else this.#miss(answer.failure);
    const delayMs = this.#config.interval * (1 - JITTER + 2 * JITTER * random());
    this.#timer = clock.after(delayMs, () => void this.#run());
  }

  #ask(): ReturnType<typeof askAgent> {
    const { timeout } = this.#config;
    const asking = new AbortController();
    const stop = () => asking.abort();
    this.#abort.signal.addEventListener('abort', stop);
    return new Promise((resolve) => {
      const late = this.#parts.clock.after(timeout, () => {
        resolve({ failure: `no answer within ${timeout} ms` });
        stop();
      });
      void askAgent(this.#endpoint.url, this.#config, asking.signal).then((answer) => {
        late.cancel();
        this.#abort.signal.removeEventListener('abort', stop);
        resolve(answer);
      });
    });
  }

  #hear(line: string): void {
    this.#failure = undefined;
    // It goes into logs and pages.
    this.#said = line
      .replace(/[^\x20-\x7e]/g, '?')
      .trim()
      .slice(0, SHOWN);
    this.#follow(heed(this.state, line, this.#endpoint.config.weight), this.#said);
  }

  #miss(failure: string): void {
    this.#failures += 1;
    if (this.#failure === undefined) {
      const where = { pool: this.#endpoint.pool.name, endpoint: this.#endpoint.url, reason: failure };
      this.#parts.log.warn({ event: 'agent_silent', ...where }, `its agent cannot be asked: ${this.#endpoint.url}`);
    }
    this.#failure = failure;
  }

  #follow(next: AgentState, said: string): void {
    const { registry, table } = this.#parts;
    const { row } = this.#endpoint;
    this.state = next;
    // Its row may be another's by now.
    if (registry.at(row) !== this.#endpoint) return;
    const reason = `agent: ${said}`;
    // Without weight not even a panic finds it, and that is what whoever says so wants.
    const share = next.rests === undefined ? next.share : 0;
    if (share !== table.loads.share(row)) {
      table.loads.setShare(row, share);
      table.turnEpoch();
      if (next.rests === undefined) registry.note(row, reason);
    }
    table.loads.setMaxInFlight(row, next.maxInFlight);
    registry.set(this.#endpoint, ENDPOINT.down, next.isDown, reason);
    registry.set(this.#endpoint, ENDPOINT.resting, next.rests !== undefined, reason);
  }
}
