/** Answers in fewer bytes, for clients that can read them; see README.md. */
import { compileFieldEdits } from '../../src/data/fields.ts';
import { definePlugin, type ConfigFault, type PluginContext } from '../../src/extension.ts';
import type { Counter } from '../../src/memory/counter-table.ts';
import { CompressedAnswer } from './compressed-answer.ts';
import { isNeverCompressed } from './media-types.ts';
import { OUTCOMES, Policy, type Counters, type Outcome } from './policy.ts';
import type { CompressConfig } from './schema.ts';

const ANSWERS = 'aya_compression_answers_total';
const BYTES = 'aya_compression_bytes_total';

export default definePlugin<CompressConfig | false>({
  name: 'compress',
  phase: 'transform',
  counters: [
    {
      name: ANSWERS,
      help: 'Answers of routes that compress: in which coding, or why as they were.',
      label: 'outcome',
      values: OUTCOMES,
    },
    { name: BYTES, help: 'Bytes into and out of compression.', label: 'direction', values: ['in', 'out'] },
  ],
  check: (config) => (config === false ? [] : checkTypes(config)),

  create(config, context) {
    if (config === false) return {};
    const policy = new Policy(config, countersOf(context));
    const askForIdentity =
      config.upstream === 'identity' ? compileFieldEdits({ set: { 'accept-encoding': 'identity' } }) : undefined;
    return {
      layer: (next) => (request, handler) => {
        askForIdentity?.(request.fields);
        next(request, new CompressedAnswer(policy, request, handler));
      },
    };
  },
});

function checkTypes({ types }: CompressConfig): ConfigFault[] {
  return types.flatMap((type, index) => {
    const path = ['types', index];
    const [, subtype = ''] = type.split('/');
    if (type.startsWith('*') || !/^(?:[^*]+|\*|\*\+[^*]+)$/.test(subtype)) {
      return [{ path, message: `'${type}' is neither type/subtype, type/* nor type/*+suffix` }];
    }
    if (!isNeverCompressed(type.toLowerCase())) return [];
    return [{ path, message: `${type} is never compressed: its messages must leave one by one, and at once` }];
  });
}

function countersOf({ counter }: PluginContext): Counters {
  return {
    outcomes: Object.fromEntries(OUTCOMES.map((outcome) => [outcome, counter(ANSWERS, outcome)])) as Record<
      Outcome,
      Counter
    >,
    bytesIn: counter(BYTES, 'in'),
    bytesOut: counter(BYTES, 'out'),
  };
}
