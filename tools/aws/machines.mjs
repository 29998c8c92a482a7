// Looks at the definitions of state machines. What they do is tested in deploy/lambda/machinetest; here: are they well formed.
import { createRequire } from 'node:module';

const aslValidator = createRequire(import.meta.url)('asl-validator');

/** What is wrong with the state machines of a template. */
export function checkMachines(template) {
  const problems = [];
  for (const [name, r] of Object.entries(template.Resources)) {
    if (r.Type !== 'AWS::StepFunctions::StateMachine') continue;
    const given = Object.keys(r.Properties.DefinitionSubstitutions ?? {});
    const missing = new Set();
    const used = new Set();
    const text = JSON.stringify(r.Properties.Definition).replace(/\$\{([^}]*)\}/g, (_, placeholder) => {
      used.add(placeholder);
      if (!given.includes(placeholder)) missing.add(placeholder);
      return { Partition: 'aws', FunctionArn: 'arn:aws:lambda:eu-central-1:123456789012:function:martsync', SyncMachineArn: 'arn:aws:states:eu-central-1:123456789012:stateMachine:martsync' }[placeholder] ?? 'x';
    });
    for (const m of missing) problems.push(`${name}: nothing stands for \${${m}}`);
    for (const g of given) if (!used.has(g)) problems.push(`${name}: \${${g}} does not occur`);
    const { isValid, errorsText } = aslValidator(JSON.parse(text));
    if (!isValid) problems.push(`${name}: ${errorsText()}`);
  }
  return problems;
}
