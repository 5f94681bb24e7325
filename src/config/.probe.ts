import { load } from './load.ts';
import { formatProblem } from './problem.ts';
import { redact } from './redact.ts';
const r = await load(process.argv[2] ?? '.', { env: process.env });
for (const p of r.problems) console.log(formatProblem(p));
console.log(JSON.stringify(r.config && redact(r.config), null, 1)?.slice(0, 6000));
