#!/usr/bin/env node
/**
 * The command: everything it can do, in one place. The code of each command is loaded when it is asked for, so that
 * `--help` is quick, and works on a Node that is too old for the rest.
 */
import nodeModule from 'node:module';
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { EXIT, tell } from './cli/outcome.ts';
import { VERSION } from './version.ts';

const NEEDED_NODE = 24;

const program = new Command('aya')
  .description('An API gateway for fleets of microservices.')
  .version(VERSION, '--version', 'print the version')
  .helpOption('-h, --help', 'print this, or with a command what it takes')
  .helpCommand(false)
  .showHelpAfterError("Run 'aya --help', or 'aya COMMAND --help'.")
  .configureHelp({ sortSubcommands: false })
  .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'aya: ')) })
  .exitOverride()
  .hook('preAction', beforeAnyCommand)
  .addHelpText(
    'after',
    `
DIR holds gateway.yaml (optional), routes.d/*.yaml and consumers.d/*.yaml (optional); without it the current directory is meant.
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 'plan --exit-code' found changes.`,
  );

program
  .command('start')
  .argument('[dir]', 'directory of the configuration', '.')
  .description('serve until SIGTERM or SIGINT; SIGHUP reloads')
  .addHelpText(
    'after',
    `
The log is JSON lines on standard output. SIGTERM and SIGINT drain: readiness fails, what is in flight is finished, the
exit code is 0. A second signal ends at once with 1. A wrong configuration is refused with all that is wrong in it.`,
  )
  .action(async (dir: string) => {
    const { start } = await import('./cli/start.ts');
    tell(await start(dir));
  });

program
  .command('check')
  .argument('[dir]', 'directory of the configuration', '.')
  .option('--strict', 'fail on warnings too')
  .option('--json', 'print JSON')
  .description('say everything that is wrong with a configuration')
  .action(async (dir: string, options: { strict?: true; json?: true }) => {
    const { check } = await import('./cli/check.ts');
    tell(await check(dir, options));
  });

withAdmin(
  program
    .command('plan')
    .argument('[dir]', 'directory of the configuration', '.')
    .option('--exit-code', 'exit with 3 when something would change')
    .option('--json', 'print JSON')
    .description('say what these files would change in the running gateway'),
).action(async (dir: string, options: AdminFlags & { exitCode?: true; json?: true }) => {
  const { plan } = await import('./cli/plan.ts');
  tell(await plan(dir, options));
});

program
  .command('routes')
  .argument('[dir]', 'directory of the configuration', '.')
  .option('--json', 'print JSON')
  .description('list the routes in their order of precedence')
  .action(async (dir: string, options: { json?: true }) => {
    const { routes } = await import('./cli/routes.ts');
    tell(await routes(dir, options));
  });

withAdmin(
  program
    .command('explain')
    .argument('[method]', 'such as GET')
    .argument('[url]', 'a path with its query, or a whole URL')
    .option('--request <id>', 'instead: how the running gateway decided the request with this id')
    .option('-H, --header <field>', "a request field, 'name: value'; may be repeated", collectField, [])
    .option('--client <ip>', 'address of the client', '127.0.0.1')
    .option('--dir <dir>', 'directory of the configuration', '.')
    .option('--all', 'also the routes for other hosts and paths')
    .option('--json', 'print JSON')
    .description('say which route takes a request and why, and which endpoints could serve it'),
).action(async (method: string | undefined, url: string | undefined, options: AdminFlags & ExplainFlags) => {
  if (options.request !== undefined) {
    const { explainRequest } = await import('./cli/decisions.ts');
    return tell(await explainRequest(options.request, options));
  }
  if (method === undefined || url === undefined)
    return program.error('aya: explain what? Say METHOD and URL, or --request ID');
  const { explain } = await import('./cli/explain.ts');
  return tell(await explain(method, url, options));
});

withAdmin(
  program
    .command('decisions')
    .option('--route <name>', 'only of this route')
    .option('--pool <name>', 'only those that asked this pool')
    .option('--status <status>', 'only with this status: 503, or 5xx')
    .option('--limit <count>', 'at most so many (default: 20)')
    .option('--dir <dir>', 'directory of the configuration', '.')
    .option('--json', 'print JSON')
    .description('list the last requests that failed, or that asked to be explained'),
).action(async (options: AdminFlags & DecisionsFlags) => {
  const { decisions } = await import('./cli/decisions.ts');
  tell(await decisions(options));
});

withAdmin(
  program
    .command('purge')
    .argument('[url...]', 'URLs as clients ask for them, such as https://api.example.com/orders/7')
    .option('--prefix <url>', 'all URLs that begin so; may be repeated', collect, [])
    .option('--tag <tag>', 'all answers with that Surrogate-Key or Cache-Tag; may be repeated', collect, [])
    .option('--dir <dir>', 'directory of the configuration', '.')
    .description('have the running gateway forget stored answers'),
).action(async (urls: readonly string[], options: AdminFlags & PurgeFlags) => {
  const { purge } = await import('./cli/purge.ts');
  tell(await purge(urls, options));
});

const consumer = program
  .command('consumer')
  .description('say who may call: consumers, their keys and passwords')
  .helpCommand(false);

inConsumers(consumer.command('add').argument('<name>', 'its name in logs, limits and x-aya-consumer'))
  .option('--group <group>', 'a group that it belongs to; may be repeated', collect, [])
  .description('make a consumer, without any credential yet')
  .action(async (name: string, options: ConsumerFlags & { group: readonly string[] }) => {
    const { addConsumer } = await import('./cli/consumer.ts');
    tell(await addConsumer(name, options));
  });

inConsumers(consumer.command('key').argument('<name>', 'the consumer'))
  .option('--expires <when>', '90d, 12h, or a day such as 2027-01-31')
  .option('--id <id>', 'what logs and revoke call it (default: random)')
  .description('make an API key, print it once, and keep its hash')
  .action(async (name: string, options: ConsumerFlags & { expires?: string; id?: string }) => {
    const { makeKey } = await import('./cli/consumer.ts');
    tell(await makeKey(name, options));
  });

inConsumers(
  consumer
    .command('password')
    .argument('<name>', 'the consumer')
    .argument('<username>', 'the name that its clients send'),
)
  .option('--expires <when>', '90d, 12h, or a day such as 2027-01-31')
  .description('set a password, asked for or read from standard input, and keep its hash')
  .action(async (name: string, username: string, options: ConsumerFlags & { expires?: string }) => {
    const [{ setPassword }, { readPassword }] = await Promise.all([
      import('./cli/consumer.ts'),
      import('./cli/read-password.ts'),
    ]);
    tell(await setPassword(name, username, options, readPassword));
  });

inConsumers(
  consumer
    .command('revoke')
    .argument('<name>', 'the consumer')
    .argument('[key]', 'id of one key; without it, everything'),
)
  .description('take a key from a consumer, or the consumer itself away')
  .action(async (name: string, key: string | undefined, options: ConsumerFlags) => {
    const { revoke } = await import('./cli/consumer.ts');
    tell(await revoke(name, key, options));
  });

inConsumers(consumer.command('list'))
  .option('--json', 'print JSON')
  .description('list consumers and when their keys expire')
  .action(async (options: ConsumerFlags & { json?: true }) => {
    const { listConsumers } = await import('./cli/consumer.ts');
    tell(await listConsumers(options));
  });

program
  .command('demo')
  .option('--check', 'play the story once and verify it, instead of waiting')
  .description('run an example fleet with the gateway in front of it')
  .action(async (options: { check?: true }) => {
    const { demo } = await import('./cli/demo.ts');
    await demo(options);
  });

program
  .command('demo-service', { hidden: true })
  .helpOption(false)
  .allowUnknownOption()
  .argument('[args...]')
  .action(async () => {
    // A program of its own, which reads its own arguments.
    process.argv.splice(2, 1);
    await import('./cli/demo-service.ts');
  });

interface AdminFlags {
  readonly admin?: string;
  readonly token?: string;
}

interface PurgeFlags {
  readonly dir: string;
  readonly prefix: readonly string[];
  readonly tag: readonly string[];
}

interface DecisionsFlags {
  readonly route?: string;
  readonly pool?: string;
  readonly status?: string;
  readonly limit?: string;
  readonly dir: string;
  readonly json?: true;
}

interface ExplainFlags {
  readonly request?: string;
  readonly header: readonly string[];
  readonly client: string;
  readonly dir: string;
  readonly all?: true;
  readonly json?: true;
}

function withAdmin(command: Command): Command {
  return command
    .option('--admin <url>', 'admin server of the running gateway (default: as gateway.yaml says)')
    .option('--token <token>', 'its bearer token (default: $AYA_ADMIN_TOKEN, or as gateway.yaml says)');
}

interface ConsumerFlags {
  readonly dir: string;
  readonly store?: true;
}

function inConsumers(command: Command): Command {
  return command
    .option('--dir <dir>', 'directory of the configuration', '.')
    .option('--store', 'in the store that gateway.yaml names, for all its gateways, instead of in consumers.d');
}

function collect(text: string, before: readonly string[]): readonly string[] {
  return [...before, text];
}

/** To a flat list: name, value, … */
function collectField(text: string, before: readonly string[]): readonly string[] {
  const [, name, value = ''] = /^([^:\s]+):\s*(.*?)\s*$/.exec(text) ?? [];
  if (name === undefined) throw new InvalidArgumentError("Write it as 'name: value'.");
  return [...before, name, value];
}

function beforeAnyCommand(): void {
  const { node } = process.versions;
  if (Number.parseInt(node, 10) < NEEDED_NODE) throw new Error(`needs Node ${NEEDED_NODE} or later; this is ${node}`);
  // A third of the time that a command takes to start is compiling what was compiled the last time.
  nodeModule.enableCompileCache();
}

// `aya routes | head`: whoever reads has had enough.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? EXIT.done : EXIT.failed);
});
try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? EXIT.done : EXIT.usage;
  else tell({ err: `aya: ${error instanceof Error ? error.message : String(error)}`, exitCode: EXIT.failed });
}
