/** The language of load: what endpoints report, and what their agents say. */
import Type, { type StaticDecode } from 'typebox';
import { object, Port } from './shapes.ts';
import { Duration } from './units.ts';

export const AdaptiveSchema = object({
  adaptive: object(
    {
      blackout: Duration('An endpoint must have reported for so long before it is weighed by that.', '10s'),
      expiration: Duration('What was reported longer ago is not believed any more.', '3m'),
      update: Duration('How often weights are worked out.', '1s'),
      errorPenalty: Type.Number({
        minimum: 0,
        maximum: 1000,
        default: 1,
        description: 'What the share of errors is multiplied by before it is added to the utilisation.',
      }),
      metrics: Type.Array(
        Type.String({
          title: 'metric',
          pattern: '^(named_metrics|utilization)\\..+$',
          examples: ['named_metrics.queue', 'utilization.threads'],
        }),
        {
          default: [],
          description:
            'Where application_utilization is not reported: the greatest of these is the utilisation. Without any, cpu_utilization.',
        },
      ),
    },
    'As adaptive, with settings: by what endpoints report in endpoint-load-metrics.',
  ),
});

export const AgentSchema = object(
  {
    port: Type.Integer({ ...Port('Where it listens, on the host of each endpoint.'), minimum: 1 }),
    interval: Duration('Between two questions to one agent, with 10 % jitter.', '2s'),
    timeout: Duration('For one question. An agent that does not answer changes nothing.', '1s'),
    send: Type.Optional(
      Type.String({ minLength: 1, maxLength: 1024, description: 'Text to send first; write "x\\n" for a line.' }),
    ),
  },
  'Asks an agent beside each endpoint, over TCP, in the words of HAProxy’s agent-check: 75%, up, down, drain, maint, ready, maxconn:30.',
);

export type AdaptiveConfig = StaticDecode<typeof AdaptiveSchema>['adaptive'];
export type AgentConfig = StaticDecode<typeof AgentSchema>;
