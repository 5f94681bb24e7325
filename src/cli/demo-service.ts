/**
 * `demo-service --name users --port 7101 [--host 127.0.0.1] [--slow 200ms] [--flaky 10%]`: one process of the demo's fleet.
 * SIGTERM lets requests in flight finish.
 */
import { parseArgs } from 'node:util';
import { systemClock, systemRandom } from '../clock.ts';
import { parseDuration, parsePercent } from '../config/units.ts';
import { createService } from '../demo/service.ts';

const { values } = parseArgs({
  options: {
    name: { type: 'string' },
    port: { type: 'string' },
    host: { type: 'string', default: '127.0.0.1' },
    slow: { type: 'string', default: '0ms' },
    flaky: { type: 'string', default: '0%' },
  },
});
const { name = '', host } = values;
const port = Number(values.port);
const slowMs = parseDuration(values.slow);
const flaky = parsePercent(values.flaky);
if (name === '' || !Number.isInteger(port) || Number.isNaN(slowMs) || Number.isNaN(flaky)) {
  console.error('usage: demo-service --name NAME --port PORT [--host ADDRESS] [--slow 200ms] [--flaky 10%]');
  process.exit(2);
}

const service = createService({ name, port, slowMs, flaky }, systemClock, systemRandom);
service.listen(port, host, () => process.send?.('listening'));
service.on('error', (error) => {
  console.error(`${name}: ${error.message}`);
  process.exit(1);
});

process.on('SIGTERM', () => {
  service.close(() => process.exit());
  service.closeIdleConnections();
});

if (process.connected) {
  // Started by the demo: Ctrl-C reaches every process of the terminal, but the demo says when; without it, nobody would.
  process.on('SIGINT', () => undefined);
  process.on('disconnect', () => process.exit());
}
