// Compares resources with AWS's own specification: is there such a type, has it such properties, are the required ones there, is each
// of the right type.
import { loadAwsServiceSpecSync } from '@aws-cdk/aws-service-spec';
import { intrinsic } from './template.mjs';

const db = loadAwsServiceSpecSync();

/** The specification's entry of a type such as AWS::S3::Bucket, or undefined. */
export function resource(type) {
  return db.lookup('resource', 'cloudFormationType', 'equals', type)[0];
}

const isObject = (v) => v !== null && typeof v === 'object' && !Array.isArray(v);

// What an intrinsic function gives is known to CloudFormation alone, except for If: both of its branches are looked at.
function branches(v) {
  const call = intrinsic(v);
  if (call === undefined) return { values: [v], known: true };
  if (call[0] !== 'Fn::If') return { values: [], known: false };
  const all = call[1].slice(1).filter((b) => !(isObject(b) && b.Ref === 'AWS::NoValue')).map(branches);
  return { values: all.flatMap((b) => b.values), known: all.every((b) => b.known) };
}

/** Adds what is wrong with v, which should be of a type, to problems. */
function compare(v, type, path, problems) {
  const { values } = branches(v);
  for (const value of values) compareValue(value, type, path, problems);
}

function compareValue(v, type, path, problems) {
  const want = (ok, what) => { if (!ok) problems.push(`${path} is ${JSON.stringify(v).slice(0, 60)}, not ${what}`); };
  switch (type.type) {
    case 'string':
      return want(typeof v === 'string' || typeof v === 'number' || typeof v === 'boolean', 'a text');
    case 'boolean':
      return want(typeof v === 'boolean' || v === 'true' || v === 'false', 'true or false');
    case 'integer':
      return want(Number.isInteger(Number(v)) && typeof v !== 'object' && v !== '', 'a whole number');
    case 'number':
      return want(Number.isFinite(Number(v)) && typeof v !== 'object' && v !== '', 'a number');
    case 'json':
      return want(isObject(v) || Array.isArray(v) || typeof v === 'string', 'JSON');
    case 'array':
      if (!Array.isArray(v)) return want(false, 'a list');
      return v.forEach((e, i) => compare(e, type.element, `${path}[${i}]`, problems));
    case 'map':
      if (!isObject(v)) return want(false, 'a mapping');
      return Object.entries(v).forEach(([key, e]) => compare(e, type.element, `${path}.${key}`, problems));
    case 'tag':
      return want(isObject(v) && 'Key' in v && 'Value' in v, 'a tag with Key and Value');
    case 'ref':
      if (!isObject(v)) return want(false, 'a mapping');
      return members(v, db.get('typeDefinition', type.reference.$ref).properties, path, problems);
    case 'union': {
      const tries = type.types.map((t) => { const found = []; compareValue(v, t, path, found); return found; });
      if (!tries.some((t) => t.length === 0)) problems.push(...tries[0]);
      return undefined;
    }
    case 'date-time':
      return want(typeof v === 'string', 'a time');
    case 'null':
      return want(v === null, 'null');
    default:
      throw new Error(`${path}: the specification has a type ${type.type} that this check does not know`);
  }
}

function members(v, properties, path, problems) {
  for (const [name, value] of Object.entries(v)) {
    if (properties[name] === undefined) problems.push(`${path}.${name} does not exist`);
    else compare(value, properties[name].type, `${path}.${name}`, problems);
  }
  for (const [name, p] of Object.entries(properties)) {
    if (p.required && v[name] === undefined) problems.push(`${path}.${name} is required`);
  }
}

const resourceKeys = ['Type', 'Properties', 'Condition', 'DependsOn', 'DeletionPolicy', 'UpdateReplacePolicy', 'Metadata', 'CreationPolicy', 'UpdatePolicy'];

/** What is wrong with the resources of a template. */
export function checkResources(template) {
  const problems = [];
  for (const [name, r] of Object.entries(template.Resources)) {
    const spec = resource(r.Type);
    if (spec === undefined) {
      problems.push(`${name}: there is no type ${r.Type}`);
      continue;
    }
    for (const key of Object.keys(r)) if (!resourceKeys.includes(key)) problems.push(`${name}.${key} does not exist`);
    members(r.Properties ?? {}, spec.properties, name, problems);
  }
  return problems;
}
