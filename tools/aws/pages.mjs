// Compares pages with the templates they are about: node pages.mjs [TEMPLATE PAGE]…
// Every parameter and output that a page names must be there, every parameter must be explained, and a command that deploys must give
// all that have no default. A page that is wrong is planted for each and must be found.
import { readFileSync } from 'node:fs';
import { read } from './template.mjs';

function check(template, page) {
  const problems = [];
  const { Parameters, Outputs, Resources } = template;
  const deploys = [...page.matchAll(/--parameter-overrides((?:[^\n]*\\\n)*[^\n]*)/g)].map((m) => [...m[1].matchAll(/([A-Z][A-Za-z]+)=/g)].map((n) => n[1]));
  if (deploys.length === 0) problems.push('no command deploys it');
  for (const given of deploys) {
    for (const name of given) if (!(name in Parameters)) problems.push(`there is no parameter ${name}`);
    for (const [name, p] of Object.entries(Parameters)) if (p.Default === undefined && !given.includes(name)) problems.push(`a command deploys without ${name}`);
  }
  const explained = [...page.matchAll(/^\| `[^|]*\|([^|]*)\|/gm)].flatMap((row) => [...row[0].split('|')[1].matchAll(/`([A-Z][A-Za-z]+)`/g)].map((n) => n[1]));
  for (const name of Object.keys(Parameters)) if (!explained.includes(name)) problems.push(`the parameter ${name} is not explained`);
  for (const name of explained) if (!(name in Parameters)) problems.push(`there is no parameter ${name}`);
  for (const [, name] of page.matchAll(/OutputKey=='([^']*)'/g)) if (!(name in Outputs)) problems.push(`there is no output ${name}`);
  const variables = new Set(Object.values(Resources).flatMap((r) => [
    ...Object.keys(r.Properties?.Environment?.Variables ?? {}), ...(r.Properties?.ContainerDefinitions ?? []).flatMap((c) => c.Environment.map((e) => e.Name)),
  ]));
  const configurations = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map((m) => m[1]).join('');
  for (const [, name] of configurations.matchAll(/\$\{([A-Z_]+)\}/g)) if (!variables.has(name)) problems.push(`the template sets no ${name}`);
  return problems;
}

const planted = [
  ['a parameter in another spelling', (s) => s.replaceAll('AlarmEmail', 'AlarmMail'), 'there is no parameter AlarmMail'],
  ['a parameter that is not given', (s) => s.replaceAll(' Bucket=$BUCKET', ''), 'a command deploys without Bucket'],
  ['an output in another spelling', (s) => s.replaceAll("'RunNow'", "'Run'"), 'there is no output Run'],
  ['a variable that is not set', (s) => s.replaceAll('${DATA_URL}', '${MART_URL}'), 'the template sets no MART_URL'],
];

let failed = 0;
const args = process.argv.slice(2);
for (let i = 0; i < args.length; i += 2) {
  const template = read(args[i]);
  const page = readFileSync(args[i + 1], 'utf8');
  const problems = check(template, page);
  for (const [name, plant, found] of planted) {
    if (plant(page) === page || !check(template, plant(page)).some((p) => p.includes(found))) problems.push(`not found: ${name}`);
  }
  for (const p of problems) console.error(`${args[i + 1]}: ${p}`);
  failed += problems.length;
  if (problems.length === 0) console.log(`✓ ${args[i + 1]}; ${planted.length} planted mistakes were found`);
}
process.exit(failed === 0 ? 0 : 1);
