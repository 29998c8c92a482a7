// Looks at the rights that roles give: nothing may be wider than it must be.
import { walk } from './template.mjs';

// Actions for which AWS knows no resource. Source: Service Authorization Reference.
const withoutResource = ['ecr:GetAuthorizationToken'];

// Actions that are allowed at all. A new one is added here with the code that needs it.
const known = [
  'logs:CreateLogStream', 'logs:PutLogEvents',
  's3:GetObject', 's3:PutObject', 's3:DeleteObject', 's3:AbortMultipartUpload', 's3:ListBucket', 's3:ListBucketMultipartUploads',
  'ssm:GetParameter', 'secretsmanager:GetSecretValue', 'kms:Decrypt', 'kms:GenerateDataKey', 'sns:Publish',
  'lambda:InvokeFunction', 'states:StartExecution', 'ecs:RunTask', 'iam:PassRole',
  'ecr:BatchCheckLayerAvailability', 'ecr:BatchGetImage', 'ecr:GetDownloadUrlForLayer', 'ecr:GetAuthorizationToken',
];

const list = (v) => (Array.isArray(v) ? v : [v]);
const textOf = (v) => (typeof v === 'string' ? v : JSON.stringify(v));

function checkStatement(s, where, problems) {
  const actions = list(s.Action);
  for (const a of actions) if (!known.includes(a)) problems.push(`${where} allows ${textOf(a)}`);
  if (s.NotAction || s.NotResource || s.NotPrincipal) problems.push(`${where} allows everything but something`);
  for (const r of list(s.Resource ?? [])) {
    const text = textOf(r);
    if (text === '*' && !actions.every((a) => withoutResource.includes(a))) problems.push(`${where} allows ${actions} on everything`);
    if (/arn:[^"]*:s3:::\*/.test(text) || /:s3:::\$\{Bucket\}\/\*/.test(text)) problems.push(`${where} allows ${actions} in the whole bucket`);
    if (/:(parameter|secret)[:/]\*/.test(text)) problems.push(`${where} allows every secret`);
  }
  if (actions.includes('s3:ListBucket') && !s.Condition?.StringLikeIfExists?.['s3:prefix']) problems.push(`${where} lists without a prefix, or refuses to say that an object is not there`);
  if (actions.includes('kms:Decrypt') && !s.Condition?.StringEquals?.['kms:ViaService']) problems.push(`${where} uses the key for anything`);
  if (actions.includes('iam:PassRole') && !s.Condition?.StringEquals?.['iam:PassedToService']) problems.push(`${where} hands over roles to anybody`);
}

/** What is too wide in the roles of a template. */
export function checkRights(template) {
  const problems = [];
  for (const [name, r] of Object.entries(template.Resources)) {
    if (r.Type !== 'AWS::IAM::Role') continue;
    if (r.Properties.ManagedPolicyArns) problems.push(`${name} has policies that AWS changes`);
    const trust = r.Properties.AssumeRolePolicyDocument.Statement[0];
    const service = trust.Principal?.Service;
    if (typeof service !== 'string' || !service.endsWith('.amazonaws.com')) problems.push(`${name} may be taken by somebody that is no service`);
    // Lambda itself asks for no such condition, and does not send it when it takes the role.
    if (service !== 'lambda.amazonaws.com' && !trust.Condition?.StringEquals?.['aws:SourceAccount']) problems.push(`${name} may be taken on behalf of another account`);
    walk(r.Properties.Policies, (v, path) => {
      if (v?.Effect === 'Allow') checkStatement(v, `${name} (${v.Sid ?? path})`, problems);
    });
  }
  return problems;
}
