/**
 * A page of metrics whose values are asked for when the page is: prom-client keeps names and types and writes the text,
 * and each metric is told afresh what it is worth. A counter or gauge is filled in its `collect()`; histograms and
 * summaries arrive counted, and prom-client has no way in for those, so they are metrics of our own in its registry.
 */
import { Counter, Gauge, Registry, type Metric } from 'prom-client';

export type Labels = Readonly<Record<string, string>>;
export type Add = (labels: Labels, value: number) => void;

export interface HistogramValue {
  /** How many fell into each bucket alone; one more than there are bounds. */
  readonly buckets: readonly number[];
  readonly sum: number;
}

export interface SummaryValue {
  readonly quantiles?: Readonly<Record<string, number>>;
  readonly sum?: number;
  readonly count?: number;
}

interface Sample {
  readonly metricName?: string;
  readonly labels: Labels;
  readonly value: number;
}

export class MetricsPage {
  readonly #registry = new Registry();

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** All metrics are filled before this first yields: they see one moment. */
  render(): Promise<string> {
    return this.#registry.metrics();
  }

  /** Values of equal labels add up; a series that is zero is left out. */
  counter(name: string, help: string, labelNames: readonly string[], fill: (add: Add) => void): void {
    new Counter({
      name,
      help,
      labelNames,
      registers: [this.#registry],
      collect() {
        this.reset();
        fill((labels, value) => {
          if (value > 0) this.inc(labels, value);
        });
      },
    });
  }

  /** Values of equal labels add up; zero is a value. */
  gauge(name: string, help: string, labelNames: readonly string[], fill: (add: Add) => void): void {
    new Gauge({
      name,
      help,
      labelNames,
      registers: [this.#registry],
      collect() {
        this.reset();
        fill((labels, value) => this.inc(labels, value));
      },
    });
  }

  histogram(
    name: string,
    help: string,
    bounds: readonly number[],
    fill: (add: (labels: Labels, value: HistogramValue) => void) => void,
  ): void {
    this.#register(name, help, 'histogram', () => {
      const samples: Sample[] = [];
      fill((labels, { buckets, sum }) => {
        let count = 0;
        buckets.forEach((inBucket, at) => {
          count += inBucket;
          samples.push({
            metricName: `${name}_bucket`,
            labels: { ...labels, le: String(bounds[at] ?? '+Inf') },
            value: count,
          });
        });
        samples.push({ metricName: `${name}_sum`, labels, value: sum });
        samples.push({ metricName: `${name}_count`, labels, value: count });
      });
      return samples;
    });
  }

  summary(name: string, help: string, fill: (add: (labels: Labels, value: SummaryValue) => void) => void): void {
    this.#register(name, help, 'summary', () => {
      const samples: Sample[] = [];
      fill((labels, { quantiles = {}, sum, count }) => {
        for (const [quantile, value] of Object.entries(quantiles))
          samples.push({ labels: { ...labels, quantile }, value });
        if (sum !== undefined) samples.push({ metricName: `${name}_sum`, labels, value: sum });
        if (count !== undefined) samples.push({ metricName: `${name}_count`, labels, value: count });
      });
      return samples;
    });
  }

  /** The registry asks nothing of a metric but its name and `get()`. */
  #register(name: string, help: string, type: 'histogram' | 'summary', samples: () => readonly Sample[]): void {
    const metric = { name, get: () => Promise.resolve({ name, help, type, values: samples() }) };
    this.#registry.registerMetric(metric as unknown as Metric);
  }
}
