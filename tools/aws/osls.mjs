// Compares the stack that osls makes of serverless.yml with template.yaml: node osls.mjs TEMPLATE MADE
// What is taken from the template must be there unchanged, and the function must be the template's but for how its zip is uploaded.
import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { read } from './template.mjs';

const [, , file, made] = process.argv;
const want = read(file);
// The long form of GetAtt may be a list or, as osls writes it, stay a text with a dot.
const got = JSON.parse(readFileSync(made, 'utf8'), (key, v) => (key === 'Fn::GetAtt' && typeof v === 'string' ? v.split(/\.(.*)/).slice(0, 2) : v));

const problems = [];
const same = (where, a, b) => { if (!isDeepStrictEqual(a, b)) problems.push(`${where} is ${JSON.stringify(b)}, in the template ${JSON.stringify(a)}`); };
for (const section of ['Parameters', 'Conditions', 'Outputs']) {
  for (const [name, v] of Object.entries(want[section])) same(`${section}.${name}`, v, got[section][name]);
}
for (const [name, r] of Object.entries(want.Resources)) {
  const other = got.Resources[name];
  if (other === undefined) problems.push(`there is no ${name}`);
  else if (name === 'MartsyncLambdaFunction') {
    const { Code: ours, FunctionName: a, ...rest } = r.Properties;
    const { Code: theirs, FunctionName: b, ...others } = other.Properties;
    same(name, rest, others);
    if (!theirs?.S3Key?.endsWith('/martsync-lambda-arm64.zip')) problems.push(`${name} has the code ${JSON.stringify(theirs)}`);
  } else if (name === 'MartsyncLogGroup') same(name, r.Properties.RetentionInDays, other.Properties.RetentionInDays);
  else same(name, r, other);
}
for (const name of Object.keys(got.Resources)) if (!(name in want.Resources)) problems.push(`${name} is in no template`);
for (const p of problems) console.error(`${made}: ${p}`);
if (problems.length === 0) console.log(`✓ serverless.yml makes the ${Object.keys(want.Resources).length} resources of the template`);
process.exit(problems.length === 0 ? 0 : 1);
