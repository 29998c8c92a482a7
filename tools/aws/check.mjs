// Checks CloudFormation templates without AWS: node check.mjs [--self-test] FILE…
// With --self-test mistakes are planted into the files, and each must be found.
import { statSync } from 'node:fs';
import { read } from './template.mjs';
import { checkResources } from './spec.mjs';
import { checkReferences } from './references.mjs';
import { checkRights } from './rights.mjs';
import { checkMachines } from './machines.mjs';
import { planted } from './planted.mjs';

// CloudFormation takes no more by itself; a longer template must be in S3. Source: CloudFormation quotas.
const maxTemplate = 51_200;

function check(template) {
  return [checkReferences, checkResources, checkRights, checkMachines].flatMap((f) => f(template));
}

const args = process.argv.slice(2);
const selfTest = args[0] === '--self-test';
let failed = 0;
for (const file of selfTest ? args.slice(1) : args) {
  const problems = check(read(file)).filter((p) => !(file.endsWith('.json') && p === 'nobody uses CodeKey')); // osls has its own way of uploading
  if (statSync(file).size > maxTemplate) problems.push(`it has more than ${maxTemplate} bytes`);
  for (const p of problems) console.error(`${file}: ${p}`);
  failed += problems.length;
  if (problems.length === 0) console.log(`✓ ${file}: ${Object.keys(read(file).Resources).length} resources`);
  if (!selfTest) continue;

  let found = 0;
  for (const mistake of planted.filter((m) => file.includes(m.in))) {
    const template = JSON.parse(JSON.stringify(read(file)));
    mistake.plant(template);
    const told = check(template);
    if (told.some((p) => p.includes(mistake.found))) found++;
    else {
      failed++;
      console.error(`${file}: not found: ${mistake.name}. Found was: ${told.join('; ') || 'nothing'}`);
    }
  }
  if (found === 0) { failed++; console.error(`${file}: no mistake was planted`); }
  console.log(`✓ ${file}: ${found} planted mistakes were found`);
}
process.exit(failed === 0 ? 0 : 1);
